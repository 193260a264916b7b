// Float checkpoints with generated values: time, size and memory do not depend on them.
import { storedTensors } from '../dist/bench/float-file.js';
import { generatedTensors, noise } from '../dist/bench/generated.js';
import { writeSafetensors } from '../dist/checkpoint/safetensors/safetensors.js';

const CLASSES = 1000;

/** A float checkpoint of an architecture of timm, with 1000 classes. */
export function floatCheckpoint(known) {
  const architecture = { ...known, classes: CLASSES };
  return writeSafetensors(storedTensors(generatedTensors(architecture)), {});
}

/** A picture of noise. */
export const noisePicture = (size) => ({ width: size, height: size, data: noise(size) });
