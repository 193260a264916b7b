import type { IntegerModel } from '../../checkpoint/integer/model.js';
import type { IntegerActivation } from '../../layers/integer-activation.js';
import { type IntegerLayer, integerKind } from '../../layers/integer-kinds.js';
import type {
  BufferOptions,
  IntegerPlan,
  PlacedActivation,
  PlacedConstant,
  StepOptions,
} from '../../layers/integer-plan.js';
import { unpackNibbles } from '../../layers/linear/nibbles.js';
import { PIXELS } from '../../layers/patches/layer.js';
import type { IntegerArray } from '../../layers/tensor-spec.js';
import { execute, type KernelCall, link, type ThreadPart } from '../../runtime/calls.js';
import { PANEL_SUMS } from '../../runtime/kernel-sizes.js';
import type { IntegerKernels } from '../../runtime/kernels.js';
import { MemoryPlan } from '../../runtime/memory.js';
import { roundUp } from '../../runtime/sizes.js';
import { barrierCall, TEAM_BYTES } from '../../runtime/threads.js';
import { arrange } from '../arrange.js';

/** The kernel calls that make one tensor: one, or one per head or window. */
export interface PlanStep {
  /** The activation that it makes. */
  readonly output: string;
  /** The kind of its layer. */
  readonly kind: IntegerLayer['kind'];
  /** The activations it reads. */
  readonly reads: readonly string[];
  readonly kernel: keyof IntegerKernels;
  /** Rows and columns of the output. */
  readonly shape: readonly [rows: number, columns: number];
  /** Multiply-accumulates of the products. */
  readonly macs: number;
  /** Bytes of the tensors, weights and tables it reads and writes, each counted once. */
  readonly bytes: number;
  /** Bytes of scratch memory it needs. */
  readonly scratchBytes: number;
  /** The calls of one thread. The next step may begin when all threads are done. */
  readonly calls: (part: ThreadPart) => KernelCall[];
  /** Makes the whole tensor. */
  readonly run: (kernels: IntegerKernels) => void;
}

type Fill = (memory: ArrayBufferLike, kernels: IntegerKernels) => void;

/**
 * One of several passes that run at the same time over the same weights. Each has its own
 * activations and scratch memory.
 */
export interface Lane {
  readonly index: number;
  readonly count: number;
}

const ONE_LANE: Lane = { index: 0, count: 1 };

/** An activation whose address is not decided yet. */
interface Activation {
  address: number;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
  /** Includes the rows after the last that kernels may read. */
  readonly bytes: number;
  /** The step that makes it, and the step that reads it last. */
  first: number;
  last: number;
}

/** Bytes of a cache line, which two threads should not both write. */
const CACHE_LINE = 64;

/** Bytes of a panel of weights with `inputs` inputs (assembly/gemm/layout.ts). */
const panelBytes = (inputs: number) => 8 * inputs + PANEL_SUMS;

/**
 * The forward pass of an integer model as kernel calls over memory that is planned once: the
 * layers of the model in order, each planned by its kind.
 */
export class ModelPlan implements IntegerPlan {
  readonly steps: PlanStep[] = [];
  /** Fills the memory at the start. */
  readonly fills: Fill[] = [];
  /** The fills that every lane needs. */
  readonly laneFills: Fill[] = [];
  readonly memory = new MemoryPlan();
  #scratch = 0;
  #team = 0;
  #activationBytes = 0;
  /** Inputs of the widest linear layer; eight of its rows pass through scratch. */
  #widest = 0;
  readonly #activations = new Map<string, Activation>();
  readonly #types: ReadonlyMap<string, IntegerActivation>;
  readonly #slack = new Map<string, number>();
  readonly #shared = new Map<string, unknown>();

  /** @param threads that share the forward pass; each has its own scratch memory */
  constructor(
    readonly model: IntegerModel,
    readonly threads = 1,
    readonly lane: Lane = ONE_LANE,
  ) {
    const { program, outputs } = model;
    const { layers, activations } = program;
    this.#types = activations;
    for (const layer of layers) {
      const { slack } = integerKind(layer);
      slack?.forEach((rows, i) => {
        const name = layer.reads[i]!;
        this.#slack.set(name, Math.max(rows, this.#slack.get(name) ?? 0));
      });
    }
    this.buffer(PIXELS, { rows: this.imageSize, columns: 3 * this.imageSize });
    for (const layer of layers) integerKind(layer).plan(layer, this);
    for (const name of [outputs.features.layer, outputs.logits])
      if (name !== undefined) this.#activations.get(name)!.last = Number.POSITIVE_INFINITY;
    this.#finish();
  }

  get imageSize(): number {
    return this.model.preprocessing.imageSize;
  }

  get buffers(): ReadonlyMap<string, PlacedActivation> {
    return this.#activations;
  }

  get scratchBytes(): number {
    return Math.max(...this.steps.map((step) => step.scratchBytes), 8 * this.#widest);
  }

  /** Bytes of the region that all activations share. */
  get activationBytes(): number {
    return this.#activationBytes;
  }

  /** Places the activations: those that do not live at the same time share memory. */
  #finish(): void {
    const activations = [...this.#activations.values()].filter(({ address }) => address === 0);
    this.#activationBytes = arrange(activations);
    const scratchAt = roundUp(this.#activationBytes + 16, CACHE_LINE);
    const bytes = scratchAt + this.threads * this.#scratchStride + CACHE_LINE;
    const start = this.memory.reserve(this.lane.count * bytes) + this.lane.index * bytes;
    for (const activation of activations) activation.address += start;
    this.#scratch = start + scratchAt;
    if (this.threads > 1) this.#team = roundUp(this.memory.reserve(TEAM_BYTES + CACHE_LINE), CACHE_LINE);
  }

  type(name: string): IntegerActivation {
    return this.#types.get(name)!;
  }

  /** An activation. Its address is known when the plan is finished. */
  buffer(name: string, { rows, columns, stride = columns, slack = 0 }: BufferOptions): PlacedActivation {
    const bytes = roundUp((rows + slack) * stride + 16, 16);
    const born = this.steps.length;
    const activation = { address: 0, rows, columns, stride, bytes, first: born, last: born };
    this.#activations.set(name, activation);
    return activation;
  }

  output({ name }: IntegerLayer, { stride }: Pick<BufferOptions, 'stride'> = {}): PlacedActivation {
    const { rows, columns } = this.type(name);
    const slack = this.#slack.get(name) ?? 0;
    return this.buffer(name, { rows, columns, slack, ...(stride === undefined ? {} : { stride }) });
  }

  keptOutput(layer: IntegerLayer, fill: (memory: Uint8Array) => void): PlacedActivation {
    const buffer = this.output(layer);
    const kept = this.#activations.get(layer.name)!;
    kept.first = 0;
    kept.last = Number.POSITIVE_INFINITY;
    const write: Fill = (memory) => fill(new Uint8Array(memory, buffer.address, buffer.rows * buffer.stride));
    this.fills.push(write);
    this.laneFills.push(write);
    return buffer;
  }

  constantOutput({ name }: IntegerLayer, { address }: PlacedConstant): void {
    const { rows, columns } = this.type(name);
    const bytes = rows * columns;
    this.#activations.set(name, { address, rows, columns, stride: columns, bytes, first: 0, last: 0 });
  }

  inputs({ reads }: IntegerLayer): PlacedActivation[] {
    return reads.map((name) => this.activation(name));
  }

  activation(name: string): PlacedActivation {
    return this.#activations.get(name)!;
  }

  get scratch(): number {
    return this.#scratch;
  }

  /** A single thread that does everything. */
  get whole(): ThreadPart {
    return this.part(0, 1);
  }

  part(index: number, count: number): ThreadPart {
    return { index, count, scratch: this.#scratch + index * this.#scratchStride };
  }

  get #scratchStride(): number {
    return roundUp(this.scratchBytes, CACHE_LINE);
  }

  /** Address of the state that the threads share (runtime/threads.ts). */
  get team(): number {
    return this.#team;
  }

  /** All calls of a thread; with several threads, a barrier after each step. */
  calls(thread: number): KernelCall[] {
    const part = this.part(thread, this.threads);
    const barrier = this.threads > 1 ? [barrierCall(this.#team, this.threads)] : [];
    return this.steps.flatMap(({ calls }) => [...calls(part), ...barrier]);
  }

  step(
    { kind, name: output, reads: operands }: IntegerLayer,
    { reads = operands, constants = [], macs = 0, scratchBytes = 0, kernel, calls }: StepOptions,
  ): void {
    const { rows, columns } = this.#activations.get(output)!;
    let bytes = 0;
    for (const name of new Set([...reads, output])) {
      const activation = this.#activations.get(name)!;
      activation.last = Math.max(activation.last, this.steps.length);
      bytes += activation.rows * activation.stride;
    }
    for (const constant of constants) bytes += constant.bytes;
    const run = (kernels: IntegerKernels) => execute(link(calls(this.whole), kernels));
    this.steps.push({
      output,
      kind,
      reads,
      kernel,
      shape: [rows, columns],
      macs,
      bytes,
      scratchBytes,
      calls,
      run,
    });
  }

  tensor(name: string): IntegerArray {
    return this.model.tensors.get(name)!;
  }

  shared<T>(key: string, make: () => T): T {
    if (!this.#shared.has(key)) this.#shared.set(key, make());
    return this.#shared.get(key) as T;
  }

  constant(name: string, elements = 0): PlacedConstant {
    const tensor = this.tensor(name);
    const { buffer, byteOffset, byteLength } = tensor;
    const bytes = Math.max(elements * tensor.BYTES_PER_ELEMENT, byteLength);
    return this.filled(bytes, (memory) => memory.set(new Uint8Array(buffer, byteOffset, byteLength)));
  }

  filled(bytes: number, fill: (memory: Uint8Array) => void): PlacedConstant {
    const address = this.memory.reserve(bytes);
    this.fills.push((memory) => fill(new Uint8Array(memory, address, bytes)));
    return { address, bytes };
  }

  powers({ factors: name, columns }: IntegerActivation, repeat: number): PlacedConstant {
    const factors = name === undefined ? new Uint8Array(columns) : this.tensor(name);
    return this.filled(2 * repeat * factors.length, ({ buffer, byteOffset }) => {
      const powers = new Int16Array(buffer, byteOffset, repeat * factors.length);
      for (let i = 0; i < powers.length; i++) powers[i] = 1 << factors[i % factors.length]!;
    });
  }

  weight(
    name: string,
    n: number,
    inputs: number,
    bits: number,
  ): PlacedConstant & { readonly panelBytes: number } {
    const stored = this.tensor(name);
    const padded = roundUp(inputs, 8);
    const panel = panelBytes(padded);
    const bytes = Math.ceil(n / 8) * panel;
    this.#widest = Math.max(this.#widest, inputs);
    const address = this.memory.reserve(bytes);
    this.fills.push((memory, kernels) => {
      const codes = bits === 4 ? unpackNibbles(stored as Uint8Array, inputs) : (stored as Int8Array);
      for (let row = 0; row < n; row += 8) {
        const rows = Math.min(8, n - row);
        new Int8Array(memory, this.#scratch).set(codes.subarray(row * inputs, (row + rows) * inputs));
        kernels.pack_weights(this.#scratch, rows, inputs, padded, bits, address + (row / 8) * panel);
      }
    });
    return { address, bytes, panelBytes: panel };
  }
}
