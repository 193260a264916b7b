// Float checkpoints with generated values: time, size and memory do not depend on them.
import { generatedTensors } from '../dist/bench/generated.js';
import { writeSafetensors } from '../dist/checkpoint/safetensors.js';

const CLASSES = 1000;

/** A float checkpoint of an architecture of timm, with 1000 classes. */
export function floatCheckpoint(known) {
  const architecture = { ...known, classes: CLASSES, mlpDim: 4 * known.dim };
  const tensors = [...generatedTensors(architecture)].map(([name, { shape, data }]) => ({
    name,
    dtype: 'F32',
    shape,
    data: new Uint8Array(data.buffer),
  }));
  return writeSafetensors(tensors, {});
}
