import { beforeAll, expect, test } from '@jest/globals';
import { IntegerDeit } from '../../src/models/deit.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { goldenCodes, goldenModel } from '../support/golden.js';
import { describeWithShared } from '../support/shared.js';

/** Least share of equal codes, in percent, by kind of layer: the first pattern that fits the output's name. */
const KINDS: readonly { kind: string; pattern: RegExp; least: number }[] = [
  { kind: 'log-int-softmax', pattern: /softmax$/, least: 99.5 },
  { kind: 'GELU', pattern: /gelu\.out$/, least: 97 },
  { kind: 'LayerNorm', pattern: /norm\d?\.out$/, least: 94 },
  { kind: 'linears, products, additions', pattern: /./, least: 99.8 },
];
/** Least share of codes within one, in percent, of every layer. */
const LEAST_NEAR = 99.9;

interface Comparison {
  readonly layer: string;
  readonly kind: string;
  readonly least: number;
  /** Percent of codes. */
  readonly equal: number;
  readonly near: number;
}

describeWithShared('every layer of DeiT-Tiny, fed with the codes of the simulator', 4, () => {
  const comparisons: Comparison[] = [];

  beforeAll(async () => {
    const deit = await IntegerDeit.create(goldenModel(), await readWasm('simd'));
    const golden = goldenCodes();
    for (const step of deit.steps) {
      step.run(deit.kernels);
      if (step.output === 'patches') {
        deit.write('patches', patchRows(golden.get('input')!));
        continue;
      }
      // fc1 and the GELU are judged together: the simulator has no quantiser between them
      if (step.output.endsWith('fc1.fine')) continue;
      const expected = golden.get(step.output.replace(/softmax$/, 'probs'))!;
      comparisons.push(compare(step.output, expected, deit.read(step.output)));
      deit.write(step.output, expected);
    }
  });

  test.each(KINDS)('$kind: at least $least % of the codes equal in every layer', ({ kind }) => {
    const layers = comparisons.filter((comparison) => comparison.kind === kind);
    expect(layers.length).toBeGreaterThanOrEqual(12);
    const worst = layers.reduce((a, b) => (b.equal < a.equal ? b : a));
    console.log(`${kind}: worst ${worst.layer}, ${worst.equal.toFixed(2)} % equal`);
    expect(layers.filter(({ equal, least, near }) => equal < least || near < LEAST_NEAR)).toEqual([]);
  });
});

function compare(layer: string, expected: Uint8Array, found: Uint8Array): Comparison {
  const { kind, least } = KINDS.find(({ pattern }) => pattern.test(layer))!;
  // log2 codes end in 14, 15, probability 0: that one is written as 255, one step from 15
  const step = (code: number) => (kind === 'log-int-softmax' && code === 255 ? 16 : code);
  let equal = 0;
  let near = 0;
  expected.forEach((code, i) => {
    const distance = Math.abs(step(code) - step(found[i]!));
    if (distance === 0) equal++;
    if (distance <= 1) near++;
  });
  return { layer, kind, least, equal: (100 * equal) / expected.length, near: (100 * near) / expected.length };
}

/** `[3, 224, 224]` to the rows of the patch embedding's matrix. */
function patchRows(input: Uint8Array): Uint8Array {
  const rows = new Uint8Array(196 * 768);
  for (let p = 0; p < 196; p++) {
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < 16; y++) {
        for (let x = 0; x < 16; x++) {
          const at = (c * 224 + Math.floor(p / 14) * 16 + y) * 224 + (p % 14) * 16 + x;
          rows[p * 768 + (c * 16 + y) * 16 + x] = input[at]!;
        }
      }
    }
  }
  return rows;
}
