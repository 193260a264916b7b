import { CheckpointError } from '../../errors.js';
import type { IntegerArray, TensorSpec } from '../../layers/tensor-spec.js';

/**
 * Checks the values whose range a kernel relies on: narrow codes, tables and factors. Any other
 * int8 or int32 value is harmless: the kernels wrap and saturate identically on every tier.
 *
 * @throws CheckpointError `MODEL_VALUE`
 */
export function checkValues(
  specs: readonly TensorSpec[],
  tensors: ReadonlyMap<string, IntegerArray>,
  file: string,
): void {
  for (const { name, scores, range } of specs) {
    const values = tensors.get(name)!;
    if (range !== undefined) checkRange(name, values, range, file);
    if (scores !== undefined) checkExponentials(name, values, scores, file);
  }
}

function checkRange(
  name: string,
  values: IntegerArray,
  { low, high, expected }: NonNullable<TensorSpec['range']>,
  file: string,
): void {
  // a plain loop: a callback for each of millions of weights would take longer than the rest
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!;
    if (value < low || value > high) fail(file, name, at, expected, value);
  }
}

/** Requires that e[0] > 0, e never rises, and a row of equal scores sums to less than 2^32. */
function checkExponentials(name: string, table: IntegerArray, scores: number, file: string): void {
  const limit = Math.floor((2 ** 32 - 1) / scores);
  if (table[0]! < 1 || table[0]! > limit)
    fail(file, name, 0, `1 to ${limit} for rows of ${scores} scores`, table[0]!);
  for (let d = 1; d < table.length; d++) {
    if (table[d]! > table[d - 1]!)
      fail(file, name, d, `at most the previous entry, ${table[d - 1]}`, table[d]!);
  }
}

function fail(file: string, name: string, index: number, expected: string, found: number): never {
  throw new CheckpointError(
    'MODEL_VALUE',
    `${file}: tensor ${name}, element ${index}: expected ${expected}, found ${found}`,
  );
}
