import { readFloatContainer } from '../checkpoint/float/container.js';
import { type FloatModel, type FloatModelOptions, floatModelOf } from '../checkpoint/float/model.js';
import { type Description, type QuantizerScale, saysInteger } from '../checkpoint/integer/description.js';
import { checkDigest } from '../checkpoint/integer/digest.js';
import { type IntegerModel, readIntegerModel } from '../checkpoint/integer/model.js';
import type { Tensor } from '../checkpoint/safetensors/safetensors.js';
import { ModelPlan } from '../forward/integer/runner.js';
import type { IntegerActivation } from '../layers/integer-activation.js';
import type { IntegerLayer } from '../layers/integer-kinds.js';
import type { SourceFiles } from './float-source.js';

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
  /** The activation that it makes. */
  readonly output: string;
  /** The kind of its layer. */
  readonly kind: string;
  readonly kernel: string;
  readonly shape: readonly number[];
  readonly macs: number;
  /** Size of the tensors, weights and tables that it reads and writes. */
  readonly bytes: number;
  readonly scratchBytes: number;
}

export interface IntegerReport extends Omit<Description, 'program'> {
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
  readonly layers: readonly IntegerLayer[];
  readonly sha256: string;
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
export async function inspectCheckpoint(
  { bytes, size, path, options }: SourceFiles,
  given: Pick<FloatModelOptions, 'weights' | 'arch' | 'heads'>,
): Promise<IntegerReport | FloatReport> {
  const container = readFloatContainer(bytes, { ...options, file: path });
  const { tensors, fqvit } = container;
  return bytes instanceof Uint8Array && fqvit !== undefined && saysInteger(fqvit)
    ? inspectInteger(bytes, path)
    : inspectFloat(tensors, floatModelOf(container, { ...options, ...given }), path, size);
}

async function inspectInteger(bytes: Uint8Array, file: string): Promise<IntegerReport> {
  const checkpoint = readIntegerModel(bytes, { file });
  await checkDigest(bytes, checkpoint.sha256, file);
  const plan = new ModelPlan(checkpoint);
  const { format, version, architecture, preprocessing, labels, wnids, output, recipe, program, outputs } =
    checkpoint;
  const tensors = program.tensors.map(({ name, dtype, shape, bits }) => {
    const { byteLength: size, BYTES_PER_ELEMENT: width } = checkpoint.tensors.get(name)!;
    return { name, dtype, shape, bytes: size, bits: bits ?? 8 * width };
  });
  return {
    kind: 'integer',
    file,
    bytes: bytes.length,
    memoryBytes: plan.memory.bytes,
    plan: planReport(plan),
    weightBytes: sum(tensors.filter((_, i) => program.tensors[i]!.bits !== undefined)),
    format,
    version,
    architecture,
    preprocessing,
    labels,
    ...(wnids ? { wnids } : {}),
    output,
    recipe,
    tensors,
    quantizers: [...program.activations].flatMap(([name, made]) => {
      const { scale, zeroPoint, element } = made;
      return scale === undefined || element === 'fine'
        ? []
        : [{ name, scale, zeroPoint, ...factorHistogram(checkpoint, made) }];
    }),
    layers: program.layers,
    outputs,
    sha256: checkpoint.sha256,
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

function factorHistogram({ tensors }: IntegerModel, made: IntegerActivation): { factors?: number[] } {
  const factors = made.factors === undefined ? undefined : tensors.get(made.factors);
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
