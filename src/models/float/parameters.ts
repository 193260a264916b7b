import type { FloatArchitecture, FloatModel } from '../../checkpoint/float-model.js';
import { QuantizeError } from '../../errors.js';
import type { MemoryPlan } from '../../runtime/memory.js';
import type { FloatKernels } from './kernels.js';

/** A linear layer in memory: panels of eight columns (assembly/float/pack.ts) and a padded bias. */
export interface LinearPlace {
  readonly inputs: number;
  readonly outputs: number;
  readonly panels: number;
  readonly bias: number;
}

/** γ and β of a LayerNorm in memory, f32 [dim] each. */
export interface NormPlace {
  readonly gamma: number;
  readonly beta: number;
}

export interface BlockPlaces {
  readonly norm1: NormPlace;
  readonly qkv: LinearPlace;
  readonly proj: LinearPlace;
  readonly norm2: NormPlace;
  readonly fc1: LinearPlace;
  readonly fc2: LinearPlace;
}

/** Where every parameter of the model lies, and the function that writes them there. */
export interface ParameterPlaces {
  readonly patch: LinearPlace;
  /** f32 [dim] */
  readonly cls: number;
  /** f32 [tokens, dim] */
  readonly position: number;
  readonly blocks: readonly BlockPlaces[];
  readonly norm: NormPlace;
  readonly head: LinearPlace;
  /** f32 [3][256]: what every byte of every channel means to the model. */
  readonly pixels: number;
  /** Copies the parameters; `scratch` holds 8 rows of the widest weight. */
  write(kernels: FloatKernels, memory: WebAssembly.Memory, scratch: number): void;
}

type Write = (kernels: FloatKernels, memory: WebAssembly.Memory, scratch: number) => void;

/**
 * Reserves room for every parameter of the model.
 *
 * @throws QuantizeError `MODEL_TENSOR` where a tensor is missing or has another number of elements.
 */
export function placeParameters(model: FloatModel, layout: MemoryPlan): ParameterPlaces {
  const { dim, depth, mlpDim, patchSize, imageSize, classes } = model.architecture;
  const tokens = 1 + (imageSize / patchSize) ** 2;
  const writes: Write[] = [];

  const vector = (name: string, count: number): number => {
    const data = tensor(model, name, count);
    const address = layout.reserve(4 * count);
    writes.push((_kernels, memory) => new Float32Array(memory.buffer, address, count).set(data));
    return address;
  };
  const norm = (name: string): NormPlace => ({
    gamma: vector(`${name}.weight`, dim),
    beta: vector(`${name}.bias`, dim),
  });
  const linear = (name: string, inputs: number, outputs: number, order?: Order): LinearPlace => {
    const weight = tensor(model, `${name}.weight`, inputs * outputs);
    const bias = tensor(model, `${name}.bias`, outputs);
    const panelCount = Math.ceil(outputs / 8);
    const place = {
      inputs,
      outputs,
      panels: layout.reserve(4 * panelCount * 8 * inputs),
      bias: layout.reserve(4 * panelCount * 8),
    };
    writes.push((kernels, memory, scratch) => {
      new Float32Array(memory.buffer, place.bias, outputs).set(bias);
      writePanels(kernels, memory, scratch, order ? order(weight) : weight, place);
    });
    return place;
  };

  return {
    patch: linear('patch_embed.proj', 3 * patchSize ** 2, dim, (w) => channelsLast(w, patchSize)),
    cls: vector('cls_token', dim),
    position: vector('pos_embed', tokens * dim),
    blocks: Array.from({ length: depth }, (_, n) => ({
      norm1: norm(`blocks.${n}.norm1`),
      qkv: linear(`blocks.${n}.attn.qkv`, dim, 3 * dim),
      proj: linear(`blocks.${n}.attn.proj`, dim, dim),
      norm2: norm(`blocks.${n}.norm2`),
      fc1: linear(`blocks.${n}.mlp.fc1`, dim, mlpDim),
      fc2: linear(`blocks.${n}.mlp.fc2`, mlpDim, dim),
    })),
    norm: norm('norm'),
    head: linear('head', dim, classes),
    pixels: placePixelTable(model, layout, writes),
    write(kernels, memory, scratch) {
      for (const write of writes) write(kernels, memory, scratch);
    },
  };
}

/** The widest input of a linear layer, which sizes the scratch. */
export function widestInput({ dim, mlpDim, patchSize }: FloatArchitecture): number {
  return Math.max(dim, mlpDim, 3 * patchSize ** 2);
}

type Order = (weight: Float32Array) => Float32Array;

function tensor(model: FloatModel, name: string, count: number): Float32Array {
  const found = model.tensors.get(name);
  if (found === undefined) throw new QuantizeError('MODEL_TENSOR', `the float model has no tensor ${name}`);
  if (found.data.length !== count) {
    throw new QuantizeError(
      'MODEL_TENSOR',
      `tensor ${name}: expected ${count} elements, found ${found.data.length} of shape [${found.shape.join(', ')}]`,
    );
  }
  return found.data;
}

/** Packs a weight [outputs, inputs] eight rows at a time, through the scratch. */
function writePanels(
  kernels: FloatKernels,
  memory: WebAssembly.Memory,
  scratch: number,
  weight: Float32Array,
  { inputs, outputs, panels }: LinearPlace,
): void {
  for (let n = 0; n < outputs; n += 8) {
    const rows = weight.subarray(n * inputs, Math.min(n + 8, outputs) * inputs);
    new Float32Array(memory.buffer, scratch, rows.length).set(rows);
    kernels.packWeights(scratch, inputs, panels + 4 * n * inputs, rows.length / inputs, inputs);
  }
}

/** A convolution weight [outputs, 3, patch, patch] as [outputs, patch, patch, 3], the order of `gatherPatches`. */
function channelsLast(weight: Float32Array, patch: number): Float32Array {
  const out = new Float32Array(weight.length);
  const area = patch * patch;
  for (let base = 0; base < weight.length; base += 3 * area) {
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) out[base + 3 * i + c] = weight[base + c * area + i]!;
    }
  }
  return out;
}

/** (p/255 - mean) / std for every byte and channel, rounded to f32 after every operation as torch does. */
function placePixelTable(model: FloatModel, layout: MemoryPlan, writes: Write[]): number {
  const { mean, std } = model.preprocessing;
  const address = layout.reserve(4 * 3 * 256);
  const f = Math.fround;
  writes.push((_kernels, memory) => {
    const table = new Float32Array(memory.buffer, address, 3 * 256);
    for (let c = 0; c < 3; c++) {
      for (let p = 0; p < 256; p++) table[256 * c + p] = f(f(p / 255) - f(mean[c]!)) / f(std[c]!);
    }
  });
  return address;
}
