import type { FloatModel } from '../../checkpoint/float-model.js';
import { QuantizeError } from '../../errors.js';
import type { MemoryPlan } from '../../runtime/memory.js';
import type { FloatKernels } from './kernels.js';

/** A linear layer in memory: panels of eight columns (assembly/float/pack.ts) and a padded bias. */
export interface LinearPlace {
  readonly inputs: number;
  readonly outputs: number;
  readonly panels: number;
  /** 0 if the layer has none. */
  readonly bias: number;
}

/** γ and β of a LayerNorm in memory, f32 [width] each. */
export interface NormPlace {
  readonly width: number;
  readonly gamma: number;
  readonly beta: number;
}

/** The parameters that a block has in every family. */
export interface BlockPlaces {
  readonly norm1: NormPlace;
  readonly qkv: LinearPlace;
  readonly proj: LinearPlace;
  readonly norm2: NormPlace;
  readonly fc1: LinearPlace;
  readonly fc2: LinearPlace;
}

interface LinearOptions {
  /** How the weight is reordered before it is packed. */
  order?: (weight: Float32Array) => Float32Array;
  /** Whether the layer has a bias. Default true. */
  bias?: boolean;
}

type Write = (kernels: FloatKernels, memory: WebAssembly.Memory, scratch: number) => void;

/**
 * Reserves room for the parameters of a model, and writes them once the memory exists. Every method
 * that takes a tensor's name throws QuantizeError `MODEL_TENSOR` if the tensor is missing or has
 * another number of elements.
 */
export class ParameterPlan {
  readonly #model: FloatModel;
  readonly #layout: MemoryPlan;
  readonly #writes: Write[] = [];
  #widest = 0;

  constructor(model: FloatModel, layout: MemoryPlan) {
    this.#model = model;
    this.#layout = layout;
  }

  /** The widest input of a linear layer so far. */
  get widest(): number {
    return this.#widest;
  }

  tensor(name: string, count: number): Float32Array {
    const found = this.#model.tensors.get(name);
    if (found === undefined) throw new QuantizeError('MODEL_TENSOR', `the float model has no tensor ${name}`);
    if (found.data.length !== count) {
      throw new QuantizeError(
        'MODEL_TENSOR',
        `tensor ${name}: expected ${count} elements, found ${found.data.length} of shape [${found.shape.join(', ')}]`,
      );
    }
    return found.data;
  }

  /** Reserves room for `data`. @returns the address */
  values(data: Float32Array): number {
    const address = this.#layout.reserve(4 * data.length);
    this.#writes.push((_kernels, memory) => new Float32Array(memory.buffer, address, data.length).set(data));
    return address;
  }

  /** Reserves room for `count` values, which are made once the memory exists. */
  computed(count: number, make: () => Float32Array): number {
    const address = this.#layout.reserve(4 * count);
    this.#writes.push((_kernels, memory) => new Float32Array(memory.buffer, address, count).set(make()));
    return address;
  }

  norm(name: string, width: number): NormPlace {
    return {
      width,
      gamma: this.values(this.tensor(`${name}.weight`, width)),
      beta: this.values(this.tensor(`${name}.bias`, width)),
    };
  }

  linear(
    name: string,
    inputs: number,
    outputs: number,
    { order, bias = true }: LinearOptions = {},
  ): LinearPlace {
    const weight = this.tensor(`${name}.weight`, inputs * outputs);
    const columns = 8 * Math.ceil(outputs / 8);
    const place: LinearPlace = {
      inputs,
      outputs,
      panels: this.#layout.reserve(4 * columns * inputs),
      bias: bias ? this.values(padded(this.tensor(`${name}.bias`, outputs), columns)) : 0,
    };
    this.#writes.push((kernels, memory, scratch) =>
      writePanels(kernels, memory, scratch, order ? order(weight) : weight, place),
    );
    this.#widest = Math.max(this.#widest, inputs);
    return place;
  }

  /** The patch convolution as a linear layer over the rows of `gatherPatches`. */
  patchEmbedding(patchSize: number, dim: number): LinearPlace {
    return this.linear('patch_embed.proj', 3 * patchSize ** 2, dim, {
      order: (weight) => channelsLast(weight, patchSize),
    });
  }

  block(name: string, { dim, mlpDim }: { dim: number; mlpDim: number }): BlockPlaces {
    return {
      norm1: this.norm(`${name}.norm1`, dim),
      qkv: this.linear(`${name}.attn.qkv`, dim, 3 * dim),
      proj: this.linear(`${name}.attn.proj`, dim, dim),
      norm2: this.norm(`${name}.norm2`, dim),
      fc1: this.linear(`${name}.mlp.fc1`, dim, mlpDim),
      fc2: this.linear(`${name}.mlp.fc2`, mlpDim, dim),
    };
  }

  /** f32 [3][256]: the normalised value of every byte of every channel. */
  pixelTable(): number {
    return this.values(pixelTable(this.#model));
  }

  /** Copies the parameters; `scratch` holds 8 rows of the widest weight. */
  write(kernels: FloatKernels, memory: WebAssembly.Memory, scratch: number): void {
    for (const write of this.#writes) write(kernels, memory, scratch);
  }
}

function padded(values: Float32Array, count: number): Float32Array {
  const out = new Float32Array(count);
  out.set(values);
  return out;
}

/** Packs a weight [outputs, inputs] through scratch, eight rows at a time. */
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

/**
 * A convolution weight [outputs, 3, patch, patch] as [outputs, patch, patch, 3], the order of
 * `gatherPatches`.
 */
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

/**
 * (p/255 - mean) / std for every byte and channel, rounded to f32 after every operation, like
 * torch.
 */
function pixelTable({ preprocessing: { mean, std } }: FloatModel): Float32Array {
  const table = new Float32Array(3 * 256);
  const f = Math.fround;
  for (let c = 0; c < 3; c++) {
    for (let p = 0; p < 256; p++) table[256 * c + p] = f(f(p / 255) - f(mean[c]!)) / f(std[c]!);
  }
  return table;
}
