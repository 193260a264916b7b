import type { FloatModel } from '../../checkpoint/float/model.js';
import { mulberry32 } from '../random.js';
import { deadLeaves } from './dead-leaves.js';

/**
 * An endless sequence of pictures with the size and mean of a model's images: uint8
 * `[imageSize, imageSize, 3]` each.
 */
export function* syntheticPictures(
  { preprocessing: { imageSize, mean } }: Pick<FloatModel, 'preprocessing'>,
  seed: number,
): Generator<Uint8Array, never> {
  const next = mulberry32(seed);
  for (;;) yield deadLeaves(imageSize, mean, next());
}
