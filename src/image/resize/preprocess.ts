import { UsageError } from '../../errors.js';
import { checkRgbImage, type RgbImage } from '../types.js';
import { INTERPOLATIONS, type Interpolation } from './interpolation.js';
import { resizeRegion } from './resize.js';

/** How to prepare an image for a model, in timm's terms. */
export interface Preprocessing {
  /** Side of the square that the model reads, in pixels. */
  imageSize: number;
  /** Side of this square divided by the resized short side, in (0, 1]. */
  cropPct: number;
  interpolation: Interpolation;
  /** Resizes to a square, instead of only the short side. */
  squash?: boolean;
  /** Rounds half of an odd crop margin down (transformers) instead of to even (torchvision). */
  cropRounding?: 'down';
}

/**
 * timm's evaluation transform (`timm.data.transforms_imagenet_eval`, crop mode "center") on integer
 * pixels: resizes the short side to floor(imageSize / cropPct) and the long side in proportion
 * (truncated), or both sides to that length (timm's crop mode "squash", Hugging Face's `size: {
 * height, width }`), then crops the centre.
 *
 * Computes only the pixels inside the crop, so extreme proportions do not increase the cost.
 *
 * @param image `[height, width, 3]`, any size from 1×1
 * @returns uint8 `[imageSize, imageSize, 3]`, RGB interleaved
 * @throws {UsageError} `PREPROCESS_PARAMETER` for an invalid size, crop or filter
 * @throws {ImageError} `IMAGE_PIXELS` if the bytes do not fit the size, `IMAGE_TOO_LARGE` as
 *   `resizeRegion`
 */
export function preprocess(image: RgbImage, p: Preprocessing): Uint8Array {
  checkRgbImage(image);
  checkParameters(p);
  const { imageSize: size } = p;
  const { width, height, left, top } = place(image.width, image.height, p);
  return resizeRegion(image, width, height, p.interpolation, { left, top, width: size, height: size }).data;
}

/** A rectangle of an image, in pixels of the image. Its edges may lie between pixels. */
export interface SeenPart {
  /** Distance from the left edge of the image. */
  readonly left: number;
  /** Distance from the top edge of the image. */
  readonly top: number;
  /** Width of the rectangle. */
  readonly width: number;
  /** Height of the rectangle. */
  readonly height: number;
}

/** The part of an image inside the crop. */
export function seenPart(pictureWidth: number, pictureHeight: number, p: Preprocessing): SeenPart {
  const { width, height, left, top } = place(pictureWidth, pictureHeight, p);
  const [right, down] = [pictureWidth / width, pictureHeight / height];
  return {
    left: left * right,
    top: top * down,
    width: p.imageSize * right,
    height: p.imageSize * down,
  };
}

/** The size after the resize, and the position of the crop in it. */
export function place(pictureWidth: number, pictureHeight: number, p: Preprocessing) {
  const target = Math.floor(p.imageSize / p.cropPct);
  const [width, height] = p.squash ? [target, target] : shortSideTo(pictureWidth, pictureHeight, target);
  const half = p.cropRounding ? (margin: number) => Math.floor(margin / 2) : halfRoundedToEven;
  return { width, height, left: half(width - p.imageSize), top: half(height - p.imageSize) };
}

/** torchvision's `_compute_resized_output_size`: `int(size * long / short)`. */
function shortSideTo(width: number, height: number, target: number): [width: number, height: number] {
  return width <= height
    ? [target, Math.trunc((target * height) / width)]
    : [Math.trunc((target * width) / height), target];
}

/** torchvision's `center_crop`: `int(round(margin / 2.0))`; Python rounds halves to even. */
function halfRoundedToEven(margin: number): number {
  const below = Math.floor(margin / 2);
  return margin % 2 !== 0 && below % 2 !== 0 ? below + 1 : below;
}

/** @throws {UsageError} `PREPROCESS_PARAMETER` */
export function checkParameters({ imageSize, cropPct, interpolation }: Preprocessing): void {
  const expected =
    !Number.isSafeInteger(imageSize) || imageSize < 1
      ? `imageSize: expected a positive integer, found ${imageSize}`
      : !(cropPct > 0 && cropPct <= 1)
        ? `cropPct: expected a number above 0 and at most 1, found ${cropPct}`
        : !INTERPOLATIONS.includes(interpolation)
          ? `interpolation: expected one of ${INTERPOLATIONS.join(', ')}, found ${interpolation}`
          : undefined;
  if (expected !== undefined) throw new UsageError('PREPROCESS_PARAMETER', expected);
}
