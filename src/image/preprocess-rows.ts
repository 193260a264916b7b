import type { Orientation } from './exif.js';
import { orient, TURNS } from './orient.js';
import { checkParameters, type Preprocessing, place } from './preprocess.js';
import { isVerticalFirst, RowResizer, type Weights, weigh } from './resize.js';

/** `preprocess` of a stored picture whose rows come one after the other, turned upright: the same bytes, and neither picture is held. */
export class RowPreprocessor {
  readonly #resizer: RowResizer;
  readonly #size: number;
  readonly #orientation: Orientation;

  /** @throws {UsageError} `PREPROCESS_PARAMETER` for a size, crop or filter that cannot be */
  constructor(width: number, height: number, orientation: Orientation, p: Preprocessing) {
    checkParameters(p);
    this.#size = p.imageSize;
    this.#orientation = orientation;
    const { swap, flipX, flipY } = TURNS[orientation];
    const { upright, placed, isDownFirst } = passes(width, height, orientation, p);
    const axis = (size: number, target: number, first: number, flip: boolean): Weights => {
      const weights = weigh(size, target, first, p.imageSize, p.interpolation);
      return flip ? mirrored(weights, size) : weights;
    };
    const x = axis(upright.width, placed.width, placed.left, flipX);
    const y = axis(upright.height, placed.height, placed.top, flipY);
    this.#resizer = swap ? new RowResizer(y, x, isDownFirst) : new RowResizer(x, y, isDownFirst);
  }

  /** Takes the next row, which begins at a byte of `pixels`. */
  push(pixels: Uint8Array, at: number): void {
    this.#resizer.push(pixels, at);
  }

  /** What the model sees, once all rows have come. */
  get pixels(): Uint8Array {
    return orient({ width: this.#size, height: this.#size, data: this.#resizer.data }, this.#orientation)
      .data;
  }
}

/** The size of the upright picture, its part, and which pass over the stored one comes first. */
function passes(width: number, height: number, orientation: Orientation, p: Preprocessing) {
  const { swap } = TURNS[orientation];
  const upright = swap ? { width: height, height: width } : { width, height };
  const placed = place(upright.width, upright.height, p);
  const isDownFirst = isVerticalFirst(upright, placed.width, placed.height) !== swap;
  return { upright, placed, isDownFirst };
}

/**
 * What a `RowPreprocessor` takes at most, in bytes: the weights of both axes, six of four bytes a pixel with Lanczos, twice where the picture is
 * turned; the outputs that have begun, of which not more than eight have an input in common where a side shrinks; and its result.
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

/** The same outputs from the other end. */
function mirrored({ start, count, coefficients, taps }: Weights, inSize: number): Weights {
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
