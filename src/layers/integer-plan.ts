import type { KernelCall, ThreadPart } from '../runtime/calls.js';
import type { IntegerKernels } from '../runtime/kernels.js';
import type { IntegerActivation } from './integer-activation.js';
import type { LayerBase } from './layer-base.js';
import type { IntegerArray } from './tensor-spec.js';

/**
 * Where an activation lies: u8 codes `[rows, columns]` (u16 if they are fine), `stride` bytes from
 * row to row.
 */
export interface PlacedActivation {
  readonly address: number;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
}

/** Weights, tables and parameters in memory. */
export interface PlacedConstant {
  readonly address: number;
  readonly bytes: number;
}

export interface StepOptions {
  readonly kernel: keyof IntegerKernels;
  /** Default: what the layer reads. */
  readonly reads?: readonly string[];
  readonly constants?: readonly PlacedConstant[];
  readonly macs?: number;
  readonly scratchBytes?: number;
  readonly calls: (part: ThreadPart) => KernelCall[];
}

export interface BufferOptions {
  readonly rows: number;
  readonly columns: number;
  /** Bytes from row to row. Default: the number of columns. */
  readonly stride?: number;
  /** Rows after the last that kernels may read. */
  readonly slack?: number;
}

/** What a kind of layer asks of the plan of a forward pass. */
export interface IntegerPlan {
  /** Side of the image in pixels. */
  readonly imageSize: number;
  /** What a layer makes. */
  type(name: string): IntegerActivation;
  /** Its address is known when the plan is finished. */
  activation(name: string): PlacedActivation;
  /** The buffers that a layer reads. */
  inputs(layer: LayerBase<string>): PlacedActivation[];
  /** The buffer of what a layer makes. */
  output(layer: LayerBase<string>, options?: Pick<BufferOptions, 'stride'>): PlacedActivation;
  /** A buffer that keeps what `fill` writes at the start and what steps write. */
  keptOutput(layer: LayerBase<string>, fill: (memory: Uint8Array) => void): PlacedActivation;
  /** A buffer that is never written. */
  constantOutput(layer: LayerBase<string>, constant: PlacedConstant): void;
  tensor(name: string): IntegerArray;
  /** A tensor as in the checkpoint, with room for `elements`; the rest is 0. */
  constant(name: string, elements?: number): PlacedConstant;
  /** `bytes` of memory that `fill` writes at the start. */
  filled(bytes: number, fill: (memory: Uint8Array) => void): PlacedConstant;
  /** What `make` makes, once for all layers that ask for `key`. */
  shared<T>(key: string, make: () => T): T;
  /**
   * The power-of-two factors of an activation, `repeat` times, as the i16 values 2^α that the
   * kernel multiplies by; 1 if it has none.
   */
  powers(activation: IntegerActivation, repeat: number): PlacedConstant;
  /**
   * Weights `[n, inputs]` as int8 panels, the inputs padded to 8, nibbles unpacked. The
   * checkpoint's layout passes through scratch, one row of panels at a time.
   */
  weight(
    name: string,
    n: number,
    inputs: number,
    bits: number,
  ): PlacedConstant & { readonly panelBytes: number };
  /** Appends the step of a layer. */
  step(layer: LayerBase<string>, options: StepOptions): void;
}
