import { INTERPOLATIONS, type Interpolation } from '../checkpoint/interpolation.js';
import { UsageError } from '../errors.js';
import { resizeRegion } from './resize.js';
import { checkRgbImage, type RgbImage } from './types.js';

/** What a model's configuration says about its input, in timm's words. */
export interface Preprocessing {
  /** Side of the square that the model sees, in pixels. */
  imageSize: number;
  /** Side of that square as a part of the short side of the resized picture, above 0 and at most 1. */
  cropPct: number;
  interpolation: Interpolation;
  /** Both sides are resized to one length, whatever the picture's proportions, and not the short side alone. */
  squash?: boolean;
  /** Of an odd margin the crop leaves the smaller half before it, as transformers does, and not the even one, as torchvision. */
  cropRounding?: 'down';
}

/**
 * timm's evaluation transform (`timm.data.transforms_imagenet_eval`, crop mode "center") on integer pixels: resize
 * the short side to floor(imageSize / cropPct) and the long side in proportion, truncated, or both sides to that (timm's crop mode
 * "squash", Hugging Face's `size: { height, width }`); cut out the centre.
 *
 * Only what the crop shows is computed, so the cost is bounded by the picture itself, whatever its proportions.
 *
 * @param image `[height, width, 3]`, any size from 1×1
 * @returns uint8 `[imageSize, imageSize, 3]`, RGB interleaved
 * @throws {UsageError} `PREPROCESS_PARAMETER` for a size, crop or filter that cannot be
 * @throws {ImageError} `IMAGE_PIXELS` for an image whose bytes do not fit its size, `IMAGE_TOO_LARGE` (`resizeRegion`)
 */
export function preprocess(image: RgbImage, p: Preprocessing): Uint8Array {
  checkRgbImage(image);
  checkParameters(p);
  const { imageSize: size } = p;
  const { width, height, left, top } = place(image.width, image.height, p);
  return resizeRegion(image, width, height, p.interpolation, { left, top, width: size, height: size }).data;
}

/** A rectangle of an image, in its pixels, with fractions of them. */
export interface SeenPart {
  /** Of the left edge, from that of the image. */
  readonly left: number;
  /** Of the top edge, from that of the image. */
  readonly top: number;
  /** In pixels of the image. */
  readonly width: number;
  /** In pixels of the image. */
  readonly height: number;
}

/** What the crop shows of a picture. */
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

/** The size to which a picture is resized, and where in it the crop begins. */
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

/** torchvision's `center_crop`: `int(round(margin / 2.0))` with Python's rounding of halves to the even neighbour. */
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
