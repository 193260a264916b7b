// Float checkpoints and images with generated values: what sizes, memory and time need, which do not depend on the values.
import { writeSafetensors } from '../dist/checkpoint/safetensors.js';
import { plainSwin, swinNames, swinShape } from '../dist/checkpoint/swin-names.js';
import { plainVit, vitNames, vitShape } from '../dist/checkpoint/vit-names.js';
import { random } from './support.mjs';

const CLASSES = 1000;

/** A float checkpoint of this architecture: matrices of unit gain, LayerNorm weights about 1, everything else about 0. */
export function floatCheckpoint(known) {
  const { family, dim, patchSize, imageSize, heads, window } = known;
  const sizes = {
    ...known,
    positions: (imageSize / patchSize) ** 2 + 1,
    mlpDim: 4 * dim,
    classes: CLASSES,
    ...(family === 'swin'
      ? { windows: heads.map((_, i) => Math.min(window, imageSize / patchSize / 2 ** i)) }
      : {}),
  };
  const names = family === 'swin' ? swinNames(plainSwin(known.depths)) : vitNames(plainVit(known.depth));
  const tensors = names.map((name) => {
    const shape = (family === 'swin' ? swinShape : vitShape)(name, sizes);
    const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
    const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
    const isNorm = /norm\d?\.weight$/.test(name);
    const spread = isNorm ? 0.5 : name.endsWith('.weight') ? Math.sqrt(3 / fanIn) : 0.2;
    for (let i = 0; i < data.length; i++) data[i] = Number(isNorm) + spread * random();
    return { name, dtype: 'F32', shape, data: new Uint8Array(data.buffer) };
  });
  return writeSafetensors(tensors, {});
}

/** An image of noise. */
export const noise = (size) => ({
  width: size,
  height: size,
  data: Uint8Array.from({ length: 3 * size * size }, () => 128 + 127 * random()),
});
