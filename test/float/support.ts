import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from '@jest/globals';
import { type FloatModel, readFloatModel } from '../../src/checkpoint/float-model.js';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { asFloat32 } from '../../src/checkpoint/typed-views.js';
import { decodeImage } from '../../src/image/decode.js';
import { preprocess } from '../../src/image/preprocess.js';
import type { FloatKernels, FloatWorkspace } from '../../src/models/float/kernels.js';

/** The float kernel module; `node scripts/build-wasm.mjs float` makes it. */
export const wasm = new WebAssembly.Module(
  readFileSync(new URL('../../wasm/fqvit.float.wasm', import.meta.url)),
);

/** Kernels on a fresh memory, and a way to lay operands out in it. */
export class Bench {
  readonly memory = new WebAssembly.Memory({ initial: 256 });
  readonly kernels = new WebAssembly.Instance(wasm, { env: { memory: this.memory } })
    .exports as unknown as FloatKernels;
  readonly scratchBytes = 4 * 2 ** 20;
  readonly scratch = 64;
  #next = 64 + this.scratchBytes;

  get workspace(): FloatWorkspace {
    return this;
  }

  /** Room for `count` f32, filled with `fill`; its address. */
  room(count: number, fill = 0): number {
    const address = this.#next;
    this.#next = Math.ceil((address + 4 * count) / 16) * 16;
    this.view(address, count).fill(fill);
    return address;
  }

  put(values: ArrayLike<number>): number {
    const address = this.room(values.length);
    this.view(address, values.length).set(values);
    return address;
  }

  view(address: number, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, address, count);
  }
}

/** Repeatable values in [-1, 1). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state / 2 ** 31;
  };
}

export function randomFloats(count: number, seed: number, size = 1): Float32Array {
  const next = random(seed);
  return Float32Array.from({ length: count }, () => size * next());
}

export function randomPixels(count: number, seed: number): Uint8Array {
  const next = random(seed);
  return Uint8Array.from({ length: count }, () => 128 + 128 * next());
}

/** A ViT whose every size is odd for the kernels: no multiple of 8, of the tile's 4 rows, or of each other. */
export function smallModel(): FloatModel {
  const architecture = {
    family: 'vit',
    name: 'small',
    imageSize: 12,
    patchSize: 4,
    dim: 15,
    depth: 2,
    heads: 3,
    mlpDim: 22,
    classes: 11,
    layerNormEps: 1e-6,
  } as const;
  const tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  const tensor = (name: string, shape: number[], size: number, centre = 0) => {
    const data = randomFloats(
      shape.reduce((a, b) => a * b),
      tensors.size + 1,
      size,
    );
    tensors.set(name, { shape, data: data.map((x) => x + centre) });
  };
  const linear = (name: string, outputs: number, inputs: number[]) => {
    tensor(`${name}.weight`, [outputs, ...inputs], 0.7);
    tensor(`${name}.bias`, [outputs], 0.3);
  };
  const norm = (name: string) => {
    tensor(`${name}.weight`, [15], 0.3, 1);
    tensor(`${name}.bias`, [15], 0.3);
  };
  tensor('cls_token', [1, 1, 15], 1);
  tensor('pos_embed', [1, 10, 15], 1);
  linear('patch_embed.proj', 15, [3, 4, 4]);
  for (const block of ['blocks.0', 'blocks.1']) {
    norm(`${block}.norm1`);
    linear(`${block}.attn.qkv`, 45, [15]);
    linear(`${block}.attn.proj`, 15, [15]);
    norm(`${block}.norm2`);
    linear(`${block}.mlp.fc1`, 22, [15]);
    linear(`${block}.mlp.fc2`, 15, [22]);
  }
  norm('norm');
  linear('head', 11, [15]);
  return {
    architecture,
    preprocessing: {
      imageSize: 12,
      cropPct: 1,
      interpolation: 'bicubic',
      mean: [0.5, 0.4, 0.3],
      std: [0.5, 0.25, 0.2],
    },
    labels: [],
    warnings: [],
    tensors,
  };
}

const shared = new URL('../../../shared/', import.meta.url);

/** A test against ../shared (the reference data beside the repository); skipped, loudly, where that is absent. */
export function goldenTest(name: string, run: () => Promise<void>): void {
  if (existsSync(shared)) test(name, run);
  else {
    console.warn(`SKIPPED 1 golden test, no reference data in ../shared: ${name}`);
    test.skip(name, run);
  }
}

export const sharedFile = (path: string): URL => new URL(path, shared);

/** Tensors of a safetensors file in ../shared. */
export function sharedTensors(path: string): FloatModel['tensors'] {
  const { tensors } = readSafetensors(readFileSync(sharedFile(path)));
  return new Map(
    [...tensors]
      .filter(([, tensor]) => tensor.dtype === 'F32')
      .map(([name, tensor]) => [name, { shape: tensor.shape, data: asFloat32(tensor) }]),
  );
}

/** The float DeiT-Tiny of the golden data. */
export function deitTiny(): FloatModel {
  const bytes = readFileSync(sharedFile('models/deit_tiny_patch16_224.safetensors'));
  return readFloatModel(bytes, { arch: 'deit_tiny_patch16_224' });
}

/** Preprocessed photos `first` to `end - 1` of the reference list, without EXIF rotation as in the golden data. */
export async function* photos(first: number, end: number): AsyncGenerator<Uint8Array> {
  const rows = readFileSync(sharedFile('data/imagenet500/labels.csv'), 'utf8').trim().split('\n').slice(1);
  for (const row of rows.slice(first, end)) {
    const file = row.slice(0, row.lastIndexOf(','));
    const bytes = await readFile(sharedFile(`data/imagenet500/${file}`));
    const image = await decodeImage(bytes, { file, orient: false });
    yield preprocess(image, { imageSize: 224, cropPct: 0.875, interpolation: 'bicubic' });
  }
}
