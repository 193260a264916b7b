/** What the readers of ViT (DeiT too) and Swin share: their input, their output, and checks. */

import { CheckpointError } from '../errors.js';
import type { Architecture, Gelu } from './architecture.js';
import type { AttentionParts } from './common-names.js';
import type { FloatConfig } from './float-config.js';
import type { NamedTensors } from './naming-schemes.js';
import type { Tensor } from './safetensors.js';
import { quoted } from './safetensors-header.js';
import { shown } from './shown.js';
import {
  type KnownArchitecture,
  listSizes,
  type NamedSizes,
  type Preparation,
} from './timm-architectures.js';

/** The shape of a float model. */
export type FloatArchitecture = Architecture & {
  /** What LayerNorm adds to the variance. */
  readonly layerNormEps: number;
};

/** A float checkpoint of which only the family is known. */
export interface FloatSource {
  /** How messages name the file. */
  readonly file: string;
  /** Those of the backbone, buffers too, by the file's names without the prefix. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly named: NamedTensors;
  readonly config: FloatConfig;
  /** The architecture of the timm name that the caller or the file gives. */
  readonly arch: KnownArchitecture | undefined;
  /** Readers add theirs. */
  readonly warnings: string[];
}

/** The checked model: its tensors by canonical names, as the file has them, in the order of the forward pass. */
export interface FloatReading {
  readonly architecture: FloatArchitecture;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** How photos are prepared where no config tells. */
  readonly prepared: Pick<Preparation, 'cropPct'> & Partial<Preparation>;
}

/** The integer kernels step through dim, a head and the MLP by eight elements. */
const CHANNEL_STEP = 8;

/** The architecture's `gelu`, which is absent for the exact one. */
export function geluOf(activation: Gelu = 'exact'): Pick<Architecture, 'gelu'> {
  return activation === 'exact' ? {} : { gelu: activation };
}

/** Refuses a config or a timm name of another family than the tensors are of. */
export function refuseFamily(
  place: 'architecture' | '--arch',
  expected: string,
  found: string,
  file: string,
): never {
  throw new CheckpointError(
    place === '--arch' ? 'CHECKPOINT_ARCHITECTURE' : 'CHECKPOINT_CONFIG',
    `${file}: ${place}: expected ${expected}, as the tensors are named, found ${quoted(found)}`,
  );
}

export function refuseConfig(message: string, file: string): never {
  throw new CheckpointError('CHECKPOINT_CONFIG', `${file}: ${message}`);
}

export function refuseShape({ name, shape }: Tensor, expected: string, file: string): never {
  throw new CheckpointError(
    'CHECKPOINT_SHAPE',
    `${file}: tensor ${quoted(name)}: expected shape ${expected}, found [${shape.join(', ')}]`,
  );
}

/**
 * A size of the model that one axis of a tensor tells.
 *
 * @param form what each axis of the tensor means, for messages
 * @param least what there must be at least one of
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

/** Holds every tensor against the shape that its canonical name has. */
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

/** File and config must agree on blocks and biases: libraries drop those that the config does not ask for. */
export function checkParts(
  { config, file }: FloatSource,
  depth: number | readonly number[],
  attention: AttentionParts,
): void {
  if (config.depth !== undefined && [config.depth].flat().join() !== [depth].flat().join()) {
    refuseConfig(`depth: expected ${shown(depth)}, as the tensors have, found ${shown(config.depth)}`, file);
  }
  if (config.qkv_bias !== undefined && config.qkv_bias !== attention.bias) {
    refuseConfig(`qkv_bias: expected ${attention.bias}, as the tensors have, found ${config.qkv_bias}`, file);
  }
}

/** Refuses a patch or image size in the config that does not fit the tensors. */
export function checkPatches(patchSize: number, { patch_size, image_size }: FloatConfig, file: string): void {
  if (patch_size !== undefined && patch_size !== patchSize) {
    refuseConfig(
      `patch_size: expected ${patchSize}, as patch_embed.proj.weight has, found ${patch_size}`,
      file,
    );
  }
  if (image_size !== undefined && image_size % patchSize !== 0) {
    refuseConfig(`image_size: expected a multiple of the patch size ${patchSize}, found ${image_size}`, file);
  }
}

/** Compares the sizes with those of the timm name: another dim is refused, other differences are a warning. */
export function checkNamed({ arch, file, warnings }: FloatSource, sizes: NamedSizes): void {
  if (!arch) return;
  const [expected, found] = [arch, sizes].map(listSizes);
  if (expected === found) return;
  if (arch.dim !== sizes.dim) {
    throw new CheckpointError(
      'CHECKPOINT_ARCHITECTURE',
      `${file}: expected the sizes of ${arch.name}, ${expected}, found ${found}; ` +
        "timm's save_for_hf writes a config.json that describes a model of other sizes",
    );
  }
  warnings.push(`${arch.name} has ${expected}; the file has ${found}, and its sizes are used`);
}

/** @param place the file, and the stage if there are several */
export function checkChannels(
  { dim, heads, mlpDim }: { dim: number; heads: number; mlpDim: number },
  place: string,
): void {
  const refuse = (message: string): never => {
    throw new CheckpointError('CHECKPOINT_ARCHITECTURE', `${place}: ${message}`);
  };
  if (dim % heads !== 0) refuse(`expected a number of heads that divides dim ${dim}, found ${heads}`);
  for (const [what, size] of [
    ['dim', dim],
    ['head dim', dim / heads],
    ['MLP dim', mlpDim],
  ] as const) {
    if (size % CHANNEL_STEP === 0) continue;
    refuse(`${what}: expected a multiple of ${CHANNEL_STEP}, found ${size} (dim ${dim}, ${heads} heads)`);
  }
}
