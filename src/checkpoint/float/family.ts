/** What the readers of ViT (including DeiT) and Swin share: input, output and checks. */

import type { Architecture } from '../../architecture/architecture.js';
import { type KnownArchitecture, listSizes, type NamedSizes } from '../../architecture/timm-architectures.js';
import type { Preparation } from '../../architecture/timm-row.js';
import { CheckpointError } from '../../errors.js';
import type { Gelu } from '../../layers/gelu/layer.js';
import { formatValue } from '../../text/format-value.js';
import { quote } from '../../text/quote.js';
import type { AttentionParts } from '../names/common-names.js';
import type { NamedTensors } from '../names/naming-schemes.js';
import type { Tensor } from '../safetensors/safetensors.js';
import type { FloatConfig } from './config.js';

/** The shape of a float model. */
export type FloatArchitecture = Architecture & {
  /** What LayerNorm adds to the variance. */
  readonly layerNormEps: number;
};

/** A float checkpoint whose family is known and nothing else yet. */
export interface FloatSource {
  /** How messages name the file. */
  readonly file: string;
  /** Tensors of the backbone, with its buffers, by the file's names without the prefix. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly named: NamedTensors;
  readonly config: FloatConfig;
  /** The architecture of the timm name, from the caller or the file. */
  readonly arch: KnownArchitecture | undefined;
  /** Readers append to this list. */
  readonly warnings: string[];
}

/** The checked model. */
export interface FloatReading {
  readonly architecture: FloatArchitecture;
  /** By canonical names, in the order of the forward pass. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Preprocessing defaults, for what no config says. */
  readonly prepared: Pick<Preparation, 'cropPct'> & Partial<Preparation>;
}

/** The integer kernels process dim, head dim and MLP dim in steps of eight elements. */
const CHANNEL_STEP = 8;

/** The architecture's `gelu` key, which is absent for the exact GELU. */
export function geluOf(activation: Gelu = 'exact'): Pick<Architecture, 'gelu'> {
  return activation === 'exact' ? {} : { gelu: activation };
}

/** Refuses a config or timm name whose family differs from that of the tensors. */
export function refuseFamily(
  place: 'architecture' | '--arch',
  expected: string,
  found: string,
  file: string,
): never {
  throw new CheckpointError(
    place === '--arch' ? 'CHECKPOINT_ARCHITECTURE' : 'CHECKPOINT_CONFIG',
    `${file}: ${place}: expected ${expected}, as the tensor names show, found ${quote(found)}`,
  );
}

export function refuseConfig(message: string, file: string): never {
  throw new CheckpointError('CHECKPOINT_CONFIG', `${file}: ${message}`);
}

export function refuseShape({ name, shape }: Tensor, expected: string, file: string): never {
  throw new CheckpointError(
    'CHECKPOINT_SHAPE',
    `${file}: tensor ${quote(name)}: expected shape ${expected}, found [${shape.join(', ')}]`,
  );
}

/**
 * Reads a size of the model from one axis of a tensor.
 *
 * @param form the meaning of each axis, for messages
 * @param least the noun for "at least one …" in messages
 */
export function sizeOf(
  tensor: Tensor,
  axis: number,
  form: readonly string[],
  least: string,
  file: string,
): number {
  const expected = `[${form.join(', ')}]`;
  if (tensor.shape.length !== form.length) refuseShape(tensor, expected, file);
  return tensor.shape[axis] || refuseShape(tensor, `${expected} with at least one ${least}`, file);
}

/** Checks every tensor against the shape that its canonical name requires. */
export function checkShapes(
  tensors: ReadonlyMap<string, Tensor>,
  shapeOf: (name: string) => readonly number[],
  file: string,
): void {
  for (const [name, tensor] of tensors) {
    const expected = shapeOf(name);
    const { shape } = tensor;
    if (shape.length === expected.length && shape.every((n, axis) => n === expected[axis])) continue;
    refuseShape(tensor, `[${expected.join(', ')}]`, file);
  }
}

/**
 * The tensors and the config must agree on blocks and biases: libraries drop blocks and biases that
 * the config does not ask for.
 */
export function checkParts(
  { config, file }: FloatSource,
  depth: number | readonly number[],
  attention: AttentionParts,
): void {
  if (config.depth !== undefined && [config.depth].flat().join() !== [depth].flat().join()) {
    refuseConfig(
      `depth: expected ${formatValue(depth)}, as the tensors show, found ${formatValue(config.depth)}`,
      file,
    );
  }
  if (config.qkv_bias !== undefined && config.qkv_bias !== attention.bias) {
    refuseConfig(`qkv_bias: expected ${attention.bias}, as the tensors show, found ${config.qkv_bias}`, file);
  }
}

/** Refuses a config whose patch or image size does not fit the tensors. */
export function checkPatches(patchSize: number, { patch_size, image_size }: FloatConfig, file: string): void {
  if (patch_size !== undefined && patch_size !== patchSize) {
    refuseConfig(
      `patch_size: expected ${patchSize}, as patch_embed.proj.weight shows, found ${patch_size}`,
      file,
    );
  }
  if (image_size !== undefined && image_size % patchSize !== 0) {
    refuseConfig(`image_size: expected a multiple of the patch size ${patchSize}, found ${image_size}`, file);
  }
}

/** Compares the sizes with those of the timm name: refuses another dim, warns of the rest. */
export function checkNamed({ arch, file, warnings }: FloatSource, sizes: NamedSizes): void {
  if (!arch) return;
  const [expected, found] = [arch, sizes].map(listSizes);
  if (expected === found) return;
  if (arch.dim !== sizes.dim) {
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: expected the sizes of ${arch.name}, ${expected}, found ${found}; ` +
        "for other sizes, pass a config.json as timm's save_for_hf writes it",
    );
  }
  warnings.push(`${arch.name} has ${expected}; the file has ${found}: the sizes of the file are used`);
}

/** @param place the file, and the stage of a Swin */
export function checkChannels(
  { dim, heads, mlpDim }: { dim: number; heads: number; mlpDim: number },
  place: string,
): void {
  const refuse = (message: string): never => {
    throw new CheckpointError('CHECKPOINT_ARCHITECTURE', `${place}: ${message}`);
  };
  if (dim % heads !== 0) refuse(`heads: expected a divisor of dim ${dim}, found ${heads}`);
  for (const [what, size] of [
    ['dim', dim],
    ['head dim', dim / heads],
    ['MLP dim', mlpDim],
  ] as const) {
    if (size % CHANNEL_STEP === 0) continue;
    refuse(`${what}: expected a multiple of ${CHANNEL_STEP}, found ${size} (dim ${dim}, ${heads} heads)`);
  }
}
