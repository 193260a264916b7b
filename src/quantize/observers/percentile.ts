import type { FloatWorkspace } from '../../forward/float/kernels.js';
import { affine, expectObserved, measureRange, moveTowards, type ValueRange } from './range.js';
import type { ObservedTensor, Observer, ObserverOptions, Quantizer } from './types.js';

/** The authors' `percentile_alpha`: one value in 100,000 is cut off at either end. */
const ALPHA = 0.99999;

/** `percentile`: the quantiles 1 - 0.99999 and 0.99999 of every batch, averaged like `ema`. */
export class PercentileObserver implements Observer {
  #range: ValueRange | undefined;

  constructor(
    private readonly workspace: FloatWorkspace,
    private readonly options: ObserverOptions = {},
  ) {}

  observe(tensor: ObservedTensor): void {
    measureRange(this.workspace, tensor, this.options); // refuses NaN and infinities
    const { min, max } = extremeQuantiles(this.workspace, tensor, ALPHA);
    this.#range = moveTowards(this.#range, { min: this.options.nonNegative ? 0 : min, max });
  }

  quantizer(): Quantizer {
    return affine(expectObserved(this.#range), this.options);
  }
}

/**
 * The quantiles 1 - alpha and alpha of a tensor, linearly interpolated, equal to torch.quantile:
 * the rank q · (n - 1) and the interpolation are f32. Exact for any alpha >= 0.5, and fast if alpha
 * is close to 1, because only the values beyond the quantiles are kept.
 */
export function extremeQuantiles(
  workspace: FloatWorkspace,
  tensor: ObservedTensor,
  alpha: number,
): ValueRange {
  const last = tensor.values.length - 1;
  const low = rank(1 - alpha, last);
  const high = rank(alpha, last);
  const smallest = new Greatest(low.above + 1); // holds negated values
  const greatest = new Greatest(last - high.below + 1);
  for (const block of notable(workspace, tensor, smallest, greatest)) {
    for (let i = 0; i < block.length; i++) {
      const value = block[i]!;
      if (-value > smallest.threshold) smallest.offer(-value);
      if (value > greatest.threshold) greatest.offer(value);
    }
  }
  const s = smallest.sorted();
  const g = greatest.sorted();
  return {
    min: interpolate(-s[low.below]!, -s[low.above]!, low.weight),
    max: interpolate(g[last - high.below]!, g[last - high.above]!, high.weight),
  };
}

interface Rank {
  below: number;
  above: number;
  /** Weight of the value above, f32. */
  weight: number;
}

function rank(quantile: number, last: number): Rank {
  const exact = Math.min(last, Math.fround(Math.fround(quantile) * Math.fround(last)));
  const below = Math.floor(exact);
  return { below, above: Math.ceil(exact), weight: Math.fround(exact - below) };
}

/** torch.lerp, which goes from the nearer end. */
function interpolate(below: number, above: number, weight: number): number {
  const f = Math.fround;
  const distance = f(above - below);
  return weight < 0.5 ? f(below + f(weight * distance)) : f(above - f(distance * f(1 - weight)));
}

/** Elements per block. */
const BLOCK = 512;

/** The blocks of a tensor that may hold one of the wanted values; most do not. */
function* notable(
  { kernels, memory, scratch }: FloatWorkspace,
  { values, address }: ObservedTensor,
  smallest: Greatest,
  greatest: Greatest,
): Generator<Float32Array> {
  const range = new Float32Array(memory.buffer, scratch, 2);
  for (let i = 0; i < values.length; i += BLOCK) {
    const block = values.subarray(i, i + BLOCK);
    kernels.min_max(address + 4 * i, block.length, scratch);
    if (-range[0]! > smallest.threshold || range[1]! > greatest.threshold) yield block;
  }
}

/**
 * Keeps the `count` greatest values: sorts whenever a buffer of four times that size is full.
 */
class Greatest {
  /** Values up to this are not among the greatest. */
  threshold = -Infinity;
  #used = 0;
  readonly #buffer: Float32Array;

  constructor(private readonly count: number) {
    this.#buffer = new Float32Array(4 * count + 64);
  }

  /** Adds a value above the threshold. */
  offer(value: number): void {
    this.#buffer[this.#used++] = value;
    if (this.#used === this.#buffer.length) this.#trim();
  }

  /** From the greatest down, `count` values. */
  sorted(): Float32Array {
    this.#trim();
    return this.#buffer.slice(0, this.count);
  }

  #trim(): void {
    const used = this.#buffer.subarray(0, this.#used);
    used.sort().reverse();
    if (this.#used < this.count) return;
    this.#used = this.count;
    this.threshold = this.#buffer[this.count - 1]!;
  }
}
