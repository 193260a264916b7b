import type { FloatModel } from '../../checkpoint/float/model.js';
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

interface LinearOptions {
  /** Side of a patch, if the inputs are patches of the pixels. */
  patch: number | undefined;
  bias: boolean;
}

type Write = (kernels: FloatKernels, memory: WebAssembly.Memory, scratch: number) => void;
type WriteTo = (kernels: FloatKernels, memory: WebAssembly.Memory, address: number, scratch: number) => void;

/**
 * Reserves room for the parameters of a model, and writes them once the memory exists. Every method
 * that takes a tensor's name throws QuantizeError `MODEL_TENSOR` if the tensor is missing or has
 * another number of elements.
 */
export class ParameterPlan {
  readonly #model: FloatModel;
  readonly #layout: MemoryPlan;
  readonly #writes: Write[] = [];
  /** Places by what they hold: several runs share the parameters. */
  readonly #places = new Map<unknown, number>();
  #widest = 0;
  #channels = 0;

  constructor(model: FloatModel, layout: MemoryPlan) {
    this.#model = model;
    this.#layout = layout;
  }

  /** The widest input of a linear layer so far. */
  get widest(): number {
    return this.#widest;
  }

  /** The most channels that a LayerNorm has so far. */
  get channels(): number {
    return this.#channels;
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
    return this.computed(data, data.length, () => data);
  }

  /**
   * Reserves room for `count` values, which are made once the memory exists.
   *
   * @param key the same for the same values
   */
  computed(key: unknown, count: number, make: () => Float32Array): number {
    return this.#place(key, 4 * count, (_kernels, memory, address) =>
      new Float32Array(memory.buffer, address, count).set(make()),
    );
  }

  norm(name: string, width: number): NormPlace {
    this.#channels = Math.max(this.#channels, width);
    return {
      width,
      gamma: this.values(this.tensor(`${name}.weight`, width)),
      beta: this.values(this.tensor(`${name}.bias`, width)),
    };
  }

  linear(name: string, inputs: number, outputs: number, { patch, bias }: LinearOptions): LinearPlace {
    const weight = this.tensor(`${name}.weight`, inputs * outputs);
    const columns = 8 * Math.ceil(outputs / 8);
    this.#widest = Math.max(this.#widest, inputs);
    const panels = this.#place(weight, 4 * columns * inputs, (kernels, memory, address, scratch) => {
      const ordered = patch === undefined ? weight : channelsLast(weight, patch);
      writePanels(kernels, memory, scratch, ordered, { inputs, outputs, panels: address });
    });
    return { inputs, outputs, panels, bias: bias ? this.#bias(name, outputs, columns) : 0 };
  }

  #bias(name: string, outputs: number, columns: number): number {
    const bias = this.tensor(`${name}.bias`, outputs);
    return this.computed(bias, columns, () => padded(bias, columns));
  }

  #place(key: unknown, bytes: number, write: WriteTo): number {
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    const address = this.#layout.reserve(bytes);
    this.#places.set(key, address);
    this.#writes.push((kernels, memory, scratch) => write(kernels, memory, address, scratch));
    return address;
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
  { inputs, outputs, panels }: Omit<LinearPlace, 'bias'>,
): void {
  for (let n = 0; n < outputs; n += 8) {
    const rows = weight.subarray(n * inputs, Math.min(n + 8, outputs) * inputs);
    new Float32Array(memory.buffer, scratch, rows.length).set(rows);
    kernels.pack_weights(scratch, inputs, panels + 4 * n * inputs, rows.length / inputs, inputs);
  }
}

/**
 * A convolution weight [outputs, 3, patch, patch] as [outputs, patch, patch, 3], the order of
 * `patches`.
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
