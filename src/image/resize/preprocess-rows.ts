import type { Orientation } from '../exif.js';
import { orient, TURNS } from '../orient.js';
import { checkParameters, type Preprocessing, place } from './preprocess.js';
import { type FilterWeights, isVerticalFirst, RowResizer, weigh } from './resize.js';

/**
 * Applies the orientation and `preprocess` to an image that arrives row by row. Gives the same
 * bytes without holding the image.
 */
export class RowPreprocessor {
  readonly #resizer: RowResizer;
  readonly #size: number;
  readonly #orientation: Orientation;

  /** @throws {UsageError} `PREPROCESS_PARAMETER` for an invalid size, crop or filter */
  constructor(width: number, height: number, orientation: Orientation, p: Preprocessing) {
    checkParameters(p);
    this.#size = p.imageSize;
    this.#orientation = orientation;
    const { swap, flipX, flipY } = TURNS[orientation];
    const { upright, placed, isDownFirst } = passes(width, height, orientation, p);
    const axis = (size: number, target: number, first: number, flip: boolean): FilterWeights => {
      const weights = weigh(size, target, first, p.imageSize, p.interpolation);
      return flip ? mirrored(weights, size) : weights;
    };
    const x = axis(upright.width, placed.width, placed.left, flipX);
    const y = axis(upright.height, placed.height, placed.top, flipY);
    this.#resizer = swap ? new RowResizer(y, x, isDownFirst) : new RowResizer(x, y, isDownFirst);
  }

  /** Takes the next row, which begins at byte `at` of `pixels`. */
  push(pixels: Uint8Array, at: number): void {
    this.#resizer.push(pixels, at);
  }

  /** The input of the model, after the last row. */
  get pixels(): Uint8Array {
    return orient({ width: this.#size, height: this.#size, data: this.#resizer.data }, this.#orientation)
      .data;
  }
}

/** The size of the upright image, its crop, and the order of the passes over the stored image. */
function passes(width: number, height: number, orientation: Orientation, p: Preprocessing) {
  const { swap } = TURNS[orientation];
  const upright = swap ? { width: height, height: width } : { width, height };
  const placed = place(upright.width, upright.height, p);
  const isDownFirst = isVerticalFirst(upright, placed.width, placed.height) !== swap;
  return { upright, placed, isDownFirst };
}

/**
 * The most memory of a `RowPreprocessor`, in bytes: the weights of both axes (with Lanczos, six of
 * four bytes per pixel, twice if the image is turned), the unfinished output rows (at most eight
 * share an input row when a side shrinks), and the result.
 */
export function preprocessMemory(
  width: number,
  height: number,
  orientation: Orientation,
  p: Preprocessing,
): number {
  const weights = (orientation === 1 ? 24 : 48) * (width + height);
  const begun = passes(width, height, orientation, p).isDownFirst ? 100 * width : 0;
  return weights + begun + 24 * p.imageSize ** 2;
}

/** The weights for the reversed axis. */
function mirrored({ start, count, coefficients, taps }: FilterWeights, inSize: number): FilterWeights {
  const outputs = start.length;
  const other = coefficients.map((_, i) => {
    const from = outputs - 1 - Math.floor(i / taps);
    const k = count[from]! - 1 - (i % taps);
    return k < 0 ? 0 : coefficients[from * taps + k]!;
  });
  return {
    start: start.map((_, i) => inSize - start[outputs - 1 - i]! - count[outputs - 1 - i]!),
    count: count.slice().reverse(),
    coefficients: other,
    taps,
  };
}
