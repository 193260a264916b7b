import { QuantizeError } from '../../errors.js';
import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { clamp, roundHalfEven } from '../../layers/round.js';
import type { ObservedTensor, ObserverOptions, Quantizer } from './types.js';

/** Least and greatest value, both f32. */
export interface ValueRange {
  readonly min: number;
  readonly max: number;
}

/**
 * The range of one batch.
 *
 * @throws QuantizeError `CALIBRATION_NOT_FINITE` if the tensor holds NaN or an infinity
 */
export function measureRange(
  { kernels, memory, scratch }: FloatWorkspace,
  tensor: ObservedTensor,
  { nonNegative = false }: ObserverOptions,
): ValueRange {
  kernels.min_max(tensor.address, tensor.values.length, scratch);
  const [min, max] = new Float32Array(memory.buffer, scratch, 2) as unknown as [number, number];
  if (!Number.isFinite(min) || !Number.isFinite(max)) {
    throw new QuantizeError(
      'CALIBRATION_NOT_FINITE',
      `${tensor.name}: expected finite values in the calibration run, found a range of ${min} to ${max}`,
    );
  }
  return { min: nonNegative ? 0 : min, max };
}

/** The smallest range that holds both. */
export function unite(a: ValueRange | undefined, b: ValueRange): ValueRange {
  return a === undefined ? b : { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}

/** The step of the moving averages of the authors' EMA and percentile observers. */
const AVERAGE_STEP = Math.fround(0.01);

/** m + 0.01 (batch - m) for both ends, or the range of the first batch. */
export function moveTowards(average: ValueRange | undefined, batch: ValueRange): ValueRange {
  if (average === undefined) return batch;
  const move = (m: number, x: number) => Math.fround(m + Math.fround(AVERAGE_STEP * Math.fround(x - m)));
  return { min: move(average.min, batch.min), max: move(average.max, batch.max) };
}

/**
 * Affine quantiser of a range (paper section 3.1): s = (max - min) / h, z = clamp(-round(min / s),
 * 0, h) with h the highest code. Every operation is rounded to f32, and ties to even, as in the
 * authors' simulator. An empty range has scale 1.
 */
export function affine({ min, max }: ValueRange, { highest = 255 }: ObserverOptions = {}): Quantizer {
  const scale = Math.fround(Math.fround(max - min) / highest) || 1;
  const zeroPoint = clamp(0 - roundHalfEven(Math.fround(min / scale)), 0, highest);
  return { scale, zeroPoint };
}

/** The range that an observer has gathered. @throws QuantizeError `CALIBRATION_EMPTY` if none */
export function expectObserved<T>(found: T | undefined): T {
  if (found === undefined) {
    throw new QuantizeError('CALIBRATION_EMPTY', 'an observer was asked for its scale before its last batch');
  }
  return found;
}
