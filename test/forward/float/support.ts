import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { SwinArchitecture, VitArchitecture } from '../../../src/architecture/architecture.js';
import { type FloatModel, readFloatModel } from '../../../src/checkpoint/float/model.js';
import { readSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { asFloat32 } from '../../../src/checkpoint/safetensors/typed-views.js';
import type { FloatKernels, FloatWorkspace } from '../../../src/forward/float/kernels.js';
import { decodeImage } from '../../../src/image/decode.js';
import { preprocess } from '../../../src/image/resize/preprocess.js';
import { shared } from '../../support/shared.js';

/** The float kernel module; `node scripts/build-wasm.mjs float` compiles it. */
export const wasm = new WebAssembly.Module(
  readFileSync(new URL('../../../wasm/fqvit.float.wasm', import.meta.url)),
);

/** Kernels with a fresh memory, and a way to place operands in it. */
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

/** Pseudo-random values in [-1, 1), the same in every run. */
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

type Small<A> = FloatModel & { readonly architecture: A & { readonly layerNormEps: number } };

/** A ViT with awkward sizes: none is a multiple of 8, of the tile's 4 rows, or of another size. */
export function smallModel(change: Partial<VitArchitecture> = {}): Small<VitArchitecture> {
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
    ...change,
  } as const;
  const { prefix = 1, classes } = architecture;
  const parameters = new RandomTensors();
  if (prefix > 0) parameters.tensor('cls_token', [1, prefix, 15], 1);
  parameters.tensor('pos_embed', [1, prefix + 9, 15], 1);
  parameters.linear('patch_embed.proj', 15, [3, 4, 4]);
  for (const block of ['blocks.0', 'blocks.1']) parameters.block(block, 15, 22);
  parameters.norm('norm', 15);
  if (classes > 0) parameters.linear('head', classes, [architecture.pool === 'two-tokens' ? 30 : 15]);
  return { architecture, ...surroundings(12), tensors: parameters.tensors };
}

/**
 * A Swin with awkward sizes: maps of 12, 6 and 3 tokens per side in windows of 3, dims 6, 12 and
 * 24. The shifted blocks of the first two stages have windows in the middle, at both edges and in
 * the corner.
 */
export function smallSwin(change: Partial<SwinArchitecture> = {}): Small<SwinArchitecture> {
  const architecture = {
    family: 'swin',
    name: 'small',
    imageSize: 24,
    patchSize: 2,
    dim: 6,
    depths: [2, 4, 1],
    heads: [1, 2, 3],
    mlpDim: 10,
    window: 3,
    classes: 5,
    layerNormEps: 1e-5,
    ...change,
  } as const;
  const { dim, imageSize, patchSize, heads, mlpDim, window, classes } = architecture;
  const parameters = new RandomTensors();
  parameters.linear('patch_embed.proj', dim, [3, patchSize, patchSize]);
  parameters.norm('patch_embed.norm', dim);
  let width = dim;
  architecture.depths.forEach((depth, i) => {
    const side = Math.min(window, imageSize / patchSize / 2 ** i);
    for (let n = 0; n < depth; n++) {
      const block = `layers.${i}.blocks.${n}`;
      parameters.tensor(`${block}.attn.relative_position_bias_table`, [(2 * side - 1) ** 2, heads[i]!], 2);
      parameters.block(block, width, mlpDim * 2 ** i);
    }
    if (i + 1 === architecture.depths.length) return;
    parameters.norm(`layers.${i}.downsample.norm`, 4 * width);
    parameters.tensor(`layers.${i}.downsample.reduction.weight`, [2 * width, 4 * width], 0.5);
    width *= 2;
  });
  parameters.norm('norm', width);
  parameters.linear('head', classes, [width]);
  return { architecture, ...surroundings(imageSize), tensors: parameters.tensors };
}

/** Pseudo-random tensors with different values each, the same in every run. */
class RandomTensors {
  readonly tensors = new Map<string, { shape: readonly number[]; data: Float32Array }>();

  tensor(name: string, shape: readonly number[], size: number, centre = 0): void {
    const count = shape.reduce((a, b) => a * b);
    const data = randomFloats(count, this.tensors.size + 1, size).map((x) => x + centre);
    this.tensors.set(name, { shape, data });
  }

  linear(name: string, outputs: number, inputs: readonly number[]): void {
    this.tensor(`${name}.weight`, [outputs, ...inputs], 0.7);
    this.tensor(`${name}.bias`, [outputs], 0.3);
  }

  norm(name: string, width: number): void {
    this.tensor(`${name}.weight`, [width], 0.3, 1);
    this.tensor(`${name}.bias`, [width], 0.3);
  }

  block(name: string, dim: number, mlpDim: number): void {
    this.norm(`${name}.norm1`, dim);
    this.linear(`${name}.attn.qkv`, 3 * dim, [dim]);
    this.linear(`${name}.attn.proj`, dim, [dim]);
    this.norm(`${name}.norm2`, dim);
    this.linear(`${name}.mlp.fc1`, mlpDim, [dim]);
    this.linear(`${name}.mlp.fc2`, dim, [mlpDim]);
  }
}

/** The parts of a model besides its architecture and tensors. */
function surroundings(imageSize: number): Omit<FloatModel, 'architecture' | 'tensors'> {
  return {
    preprocessing: {
      imageSize,
      cropPct: 1,
      interpolation: 'bicubic',
      mean: [0.5, 0.4, 0.3],
      std: [0.5, 0.25, 0.2],
    },
    labels: [],
    output: 'softmax',
    warnings: [],
  };
}

export const sharedFile = (path: string): string => `${shared}${path}`;

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

/** The float Swin of the golden data. */
export function swinMicro(): FloatModel {
  const bytes = readFileSync(sharedFile('models/swin_micro.safetensors'));
  return readFloatModel(bytes, { config: { architecture: 'swin', image_size: 56, layer_norm_eps: 1e-6 } });
}

/** The pictures of the golden data of `swinMicro`, uint8 `[56, 56, 3]` each. */
export function swinPictures(part: 'calibration' | 'test'): Uint8Array[] {
  const { tensors } = readSafetensors(readFileSync(sharedFile('golden/swin_micro/pixels.safetensors')));
  const { shape, data } = tensors.get(part)!;
  const size = 56 * 56 * 3;
  return Array.from({ length: shape[0]! }, (_, n) => data.subarray(n * size, (n + 1) * size));
}

/**
 * Preprocessed photos `first` to `end - 1` of the reference list; as in the golden data, not
 * rotated by EXIF.
 */
export async function* photos(first: number, end: number): AsyncGenerator<Uint8Array> {
  const rows = readFileSync(sharedFile('data/imagenet500/labels.csv'), 'utf8').trim().split('\n').slice(1);
  for (const row of rows.slice(first, end)) {
    const file = row.slice(0, row.lastIndexOf(','));
    const bytes = await readFile(sharedFile(`data/imagenet500/${file}`));
    const image = await decodeImage(bytes, { file, orient: false });
    yield preprocess(image, { imageSize: 224, cropPct: 0.875, interpolation: 'bicubic' });
  }
}
