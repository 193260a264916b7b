import { readFloatContainer } from '../checkpoint/float-container.js';
import { type FloatModel, type FloatModelOptions, floatModelOf } from '../checkpoint/float-model.js';
import {
  type Description,
  type QuantizerScale,
  type Step,
  saysInteger,
} from '../checkpoint/integer-description.js';
import { integerLayout } from '../checkpoint/integer-layout.js';
import { type IntegerModel, readIntegerModel } from '../checkpoint/integer-model.js';
import type { Tensor } from '../checkpoint/safetensors.js';
import { type ModelPlan, planIntegerModel } from '../models/integer.js';
import type { FloatSource } from './float-source.js';

export interface TensorReport {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** Bits of an element, or of a code of a weight. */
  readonly bits: number;
}

export interface QuantizerReport extends QuantizerScale {
  readonly name: string;
  /** Channels with the power-of-two factor 0, 1, 2 and 3, if there are factors. */
  readonly factors?: readonly number[];
}

/** One step of a forward pass. */
export interface PlanStepReport {
  /** The tensor that it computes. */
  readonly output: string;
  readonly kernel: string;
  readonly shape: readonly number[];
  readonly macs: number;
  /** Size of the tensors, weights and tables that it reads and writes. */
  readonly bytes: number;
  readonly scratchBytes: number;
}

export interface IntegerReport extends Omit<Description, 'quantizers' | 'steps'> {
  readonly kind: 'integer';
  readonly file: string;
  /** Size of the checkpoint. */
  readonly bytes: number;
  /** WebAssembly memory of the loaded model. */
  readonly memoryBytes: number;
  readonly plan: {
    /** Multiply-accumulates of a forward pass. */
    readonly macs: number;
    /** Memory of the activations, which share it. */
    readonly activationBytes: number;
    readonly scratchBytes: number;
    readonly steps: readonly PlanStepReport[];
  };
  /** Size of the weights. */
  readonly weightBytes: number;
  readonly tensors: readonly TensorReport[];
  readonly quantizers: readonly QuantizerReport[];
  readonly steps: readonly { readonly name: string; readonly integers: Step }[];
}

export interface FloatReport extends Omit<FloatModel, 'tensors'> {
  readonly kind: 'float';
  readonly file: string;
  readonly bytes: number;
  readonly parameters: number;
  readonly tensors: readonly TensorReport[];
}

/**
 * Describes a checkpoint.
 *
 * @param given what the caller knows of a float checkpoint: which model in it, its timm name, its
 *   heads
 * @throws CheckpointError for a file that is neither a valid integer checkpoint nor a float one
 *   that fqvit can quantise
 */
export function inspectCheckpoint(
  { bytes, size, path, options }: FloatSource,
  given: Pick<FloatModelOptions, 'weights' | 'arch' | 'heads'>,
): IntegerReport | FloatReport {
  const container = readFloatContainer(bytes, { ...options, file: path });
  const { tensors, fqvit } = container;
  return bytes instanceof Uint8Array && fqvit !== undefined && saysInteger(fqvit)
    ? inspectInteger(bytes, path)
    : inspectFloat(tensors, floatModelOf(container, { ...options, ...given }), path, size);
}

function inspectInteger(bytes: Uint8Array, file: string): IntegerReport {
  const checkpoint = readIntegerModel(bytes, { file });
  const plan = planIntegerModel(checkpoint);
  const { format, version, architecture, preprocessing, labels, wnids, output, recipe, steps } = checkpoint;
  const tensors = integerLayout(checkpoint).tensors.map(({ name, dtype, shape, bits }) => {
    const { byteLength: size, BYTES_PER_ELEMENT: width } = checkpoint.tensors.get(name)!;
    return { name, dtype, shape, bytes: size, bits: bits ?? 8 * width };
  });
  return {
    kind: 'integer',
    file,
    bytes: bytes.length,
    memoryBytes: plan.memory.bytes,
    plan: planReport(plan),
    weightBytes: sum(tensors.filter(({ name }) => name.endsWith('.weight'))),
    format,
    version,
    architecture,
    preprocessing,
    labels,
    ...(wnids ? { wnids } : {}),
    output,
    recipe,
    tensors,
    quantizers: [...checkpoint.quantizers].map(([name, quantizer]) => ({
      name,
      ...quantizer,
      ...factorHistogram(checkpoint, name),
    })),
    steps: [...steps].map(([name, integers]) => ({ name, integers })),
  };
}

function planReport({ steps, activationBytes, scratchBytes }: ModelPlan): IntegerReport['plan'] {
  return {
    macs: steps.reduce((total, { macs }) => total + macs, 0),
    activationBytes,
    scratchBytes,
    steps: steps.map(({ run: _, reads: _r, ...step }) => step),
  };
}

/** The factors of quantiser `X.out` are the tensor `X.factors`. */
function factorHistogram({ recipe, tensors }: IntegerModel, quantizer: string): { factors?: number[] } {
  const [, step] = /^(.*)\.out$/.exec(quantizer) ?? [];
  const factors = recipe.ptf ? tensors.get(`${step}.factors`) : undefined;
  if (factors === undefined) return {};
  const counts = [0, 0, 0, 0];
  for (const factor of factors) counts[factor]!++;
  return { factors: counts };
}

/** @param stored the tensors of the file, in its order */
function inspectFloat(
  stored: ReadonlyMap<string, Tensor>,
  { tensors: weights, ...description }: FloatModel,
  file: string,
  bytes: number,
): FloatReport {
  const tensors = [...stored].map(([name, { dtype, shape, data }]) => {
    const elements = shape.reduce((product, side) => product * side, 1);
    return { name, dtype, shape, bytes: data.length, bits: (8 * data.length) / elements };
  });
  const parameters = [...weights.values()].reduce((total, { data }) => total + data.length, 0);
  return { kind: 'float', file, bytes, parameters, ...description, tensors };
}

function sum(tensors: readonly TensorReport[]): number {
  return tensors.reduce((total, { bytes }) => total + bytes, 0);
}
