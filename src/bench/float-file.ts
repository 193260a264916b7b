/** A float model as a file that a measuring process loads: complete and checked, as it runs. */

import type { FloatModel } from '../checkpoint/float/model.js';
import type { FloatTensor } from '../checkpoint/float/tensor.js';
import { readSafetensors, type Tensor, writeSafetensors } from '../checkpoint/safetensors/safetensors.js';
import { asFloat32 } from '../checkpoint/safetensors/typed-views.js';

/** The key of `__metadata__` that holds what the tensors do not tell. */
const KEY = 'model';

/** The file of a model. It loads without the names, formats and checks of its source. */
export function writeFloatFile({ architecture, preprocessing, tensors }: FloatModel): Uint8Array {
  return writeSafetensors(storedTensors(tensors), { [KEY]: JSON.stringify({ architecture, preprocessing }) });
}

/** The model of {@link writeFloatFile}. */
export function readFloatFile(bytes: Uint8Array): FloatModel {
  const { metadata, tensors } = readSafetensors(bytes);
  return {
    ...(JSON.parse(metadata[KEY]!) as Pick<FloatModel, 'architecture' | 'preprocessing'>),
    labels: [],
    output: 'softmax',
    warnings: [],
    tensors: new Map(
      [...tensors].map(([name, tensor]) => [name, { shape: tensor.shape, data: asFloat32(tensor) }]),
    ),
  };
}

/** Float tensors as safetensors stores them. */
export function storedTensors(tensors: ReadonlyMap<string, FloatTensor>): Tensor[] {
  return [...tensors].map(([name, { shape, data }]) => ({
    name,
    dtype: 'F32',
    shape,
    data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  }));
}
