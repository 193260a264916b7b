/** Float models with pseudo-random weights that are quick to quantise. */

import { type Tensor, writeSafetensors } from '../../src/checkpoint/safetensors/safetensors.js';
import { type TinySizes, tinyShapes, zeros } from '../checkpoint/tiny-float.js';
import { TINY_SWIN, type TinySwinSizes, tinySwinShapes } from '../checkpoint/tiny-swin.js';

export const TINY_CONFIG = {
  architecture: 'deit',
  num_heads: 2,
  crop_pct: 1,
  labels: ['red', 'green', 'blue'],
};

/**
 * A DeiT of 16 pixels, patch 8, dim 16, 2 blocks, 2 heads and 3 classes as a whole `.safetensors`
 * file. The same arguments give the same bytes.
 *
 * @param config for its metadata; null for none
 */
export function tinyModel(
  config: Record<string, unknown> | null = TINY_CONFIG,
  { seed = 1, ...sizes }: Partial<TinySizes> & { seed?: number } = {},
): Uint8Array {
  return modelFile(tinyShapes({ patchSize: 8, ...sizes }), config, seed);
}

/**
 * A Swin with the sizes of {@link TINY_SWIN} as a whole `.safetensors` file, with Microsoft's names
 * and without buffers.
 *
 * @param config for its metadata (default: with `image_size` and one label per class); null for
 *   none
 */
export function tinySwinModel(
  config?: Record<string, unknown> | null,
  { seed = 1, ...sizes }: Partial<TinySwinSizes> & { seed?: number } = {},
): Uint8Array {
  const { imageSize, classes } = { ...TINY_SWIN, ...sizes };
  const labels = Array.from({ length: classes }, (_, n) => `label ${n}`);
  const whole = { architecture: 'swin', image_size: imageSize, crop_pct: 1, labels };
  return modelFile(tinySwinShapes(sizes), config === undefined ? whole : config, seed);
}

export function modelFile(
  shapes: ReadonlyMap<string, readonly number[]>,
  config: Record<string, unknown> | null,
  seed: number,
): Uint8Array {
  const random = generator(seed);
  const tensors = zeros(shapes, 'F32', (tensor) => fill(tensor, random));
  return writeSafetensors(tensors, config === null ? {} : { fqvit: JSON.stringify(config) });
}

/**
 * Matrices of unit gain, LayerNorm weights near 1, position biases that affect a softmax, the rest
 * near 0.
 */
function fill({ name, shape, data }: Tensor, random: () => number): void {
  const fanIn = shape.slice(1).reduce((product, n) => product * n, 1);
  const [mean, spread] = /norm\d?\.weight$/.test(name)
    ? [1, 0.5]
    : name.endsWith('.weight')
      ? [0, Math.sqrt(3 / fanIn)]
      : [0, name.endsWith('_table') ? 1 : 0.2];
  const values = new DataView(data.buffer, data.byteOffset, data.length);
  for (let at = 0; at < data.length; at += 4) values.setFloat32(at, mean + spread * random(), true);
}

/** Numbers from -1 to 1, by the linear congruential generator of Numerical Recipes. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}
