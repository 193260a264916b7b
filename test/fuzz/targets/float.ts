/** What the targets of float checkpoints share: their codes, and what an accepted one must be. */

import { readFloatContainer } from '../../../src/checkpoint/float/container.js';
import { type FloatModelOptions, readFloatModel } from '../../../src/checkpoint/float/model.js';
import { isOnnx } from '../../../src/checkpoint/safetensors/foreign-file.js';
import { FloatRunner } from '../../../src/forward/float/runner.js';
import { readWasm } from '../../../src/runtime/wasm-node.js';
import { expectThat, FILE, same } from '../target.js';
import { CONTAINER_CODES } from './safetensors.js';

/** Those of `readFloatModel`. */
export const FLOAT_CODES = [
  ...CONTAINER_CODES,
  ...[
    'CHECKPOINT_ADAPTER',
    'CHECKPOINT_ARCHITECTURE',
    'CHECKPOINT_CONFIG',
    'CHECKPOINT_DTYPE',
    'CHECKPOINT_EXTERNAL',
    'CHECKPOINT_EXTRA',
  ],
  ...[
    'CHECKPOINT_GLOBAL',
    'CHECKPOINT_GRAPH',
    'CHECKPOINT_LABELS',
    'CHECKPOINT_MISSING',
    'CHECKPOINT_NETWORK',
  ],
  ...[
    'CHECKPOINT_PICKLE',
    'CHECKPOINT_QUANTISED',
    'CHECKPOINT_SCHEME',
    'CHECKPOINT_SHAPE',
    'CHECKPOINT_VALUE',
  ],
  ...['CHECKPOINT_WEIGHTS', 'CHECKPOINT_ZIP', 'MODEL_KIND'],
];

export const FLOAT_PLACE = new RegExp(`^${FILE}: `);

/** Enough for a tiny model. */
const MAX_RUN_SIDE = 64;

const DTYPE_BYTES: Readonly<Record<string, number>> = {
  F64: 8,
  I64: 8,
  U64: 8,
  F32: 4,
  I32: 4,
  U32: 4,
  F16: 2,
  BF16: 2,
  I16: 2,
  U16: 2,
};

const wasm = new WebAssembly.Module(await readWasm('float'));

/** Reads a float checkpoint as `fqvit quantize` does, and runs it. */
export async function checkFloat(
  input: Uint8Array,
  options: Omit<FloatModelOptions, 'file'> = {},
): Promise<undefined> {
  checkContainer(input);
  const model = readFloatModel(input, { ...options, file: FILE });
  const { classes, imageSize } = model.architecture;
  expectThat(model.labels.length === classes, `${model.labels.length} labels for ${classes} classes`);
  for (const [name, { shape, data }] of model.tensors) {
    const size = shape.reduce((product, n) => product * n, 1);
    expectThat(data.length === size, `weights of another size: ${name}: [${shape}] of ${data.length}`);
    expectThat(
      data.every((value) => Number.isFinite(value)),
      `weights that are not finite: ${name}`,
    );
  }
  if (imageSize > MAX_RUN_SIDE || classes === 0) return undefined;
  const runner = await FloatRunner.create(model, { wasm });
  const pixels = Uint8Array.from({ length: imageSize * imageSize * 3 }, (_, i) => i);
  const [logits] = runner.run([pixels]) as [Float32Array];
  expectThat(logits.length === classes, `${logits.length} logits for ${classes} classes`);
  expectThat(same(runner.run([pixels])[0]!, logits), 'another answer the second time');
  runner.dispose();
  return undefined;
}

function checkContainer(input: Uint8Array): void {
  // Reading a graph takes long, and its tensors are those of the model.
  if (isOnnx(input)) return;
  const { tensors } = readFloatContainer(input, { file: FILE });
  for (const { name, dtype, shape, data } of tensors.values()) {
    const size = shape.reduce((product, n) => product * n, DTYPE_BYTES[dtype] ?? 1);
    expectThat(data.length === size, `data of another size: ${name}: ${dtype} [${shape}] of ${data.length}`);
  }
}
