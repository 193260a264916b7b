/** Reads the file formats of float checkpoints, which it recognises by their first bytes. */

import { CheckpointError, UsageError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import { externalNames, readOnnx } from '../onnx/read-onnx.js';
import type { ExternalFiles } from '../onnx/stored.js';
import { isOnnx, isTorch } from '../safetensors/foreign-file.js';
import { readSafetensors, type Tensor } from '../safetensors/safetensors.js';
import { readTorch } from '../torch/read-torch.js';

export interface FloatContainer {
  /** Names of the dictionaries in a PyTorch checkpoint: prefixes of the names of their tensors. */
  readonly nested?: ReadonlySet<string>;
  /** By the file's own names, or by canonical names for ONNX, whose names are unreliable. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The metadata string `fqvit` of a safetensors file. */
  readonly fqvit?: string | undefined;
  /** The name of the model according to a PyTorch checkpoint. */
  readonly arch?: string | undefined;
  /** The arguments of the training script that wrote a PyTorch checkpoint. */
  readonly args?: Readonly<Record<string, unknown>> | undefined;
  /** The config that an ONNX graph implies. */
  readonly config?: Readonly<Record<string, unknown>>;
}

interface ContainerOptions {
  readonly file: string;
  readonly imageSize?: number | undefined;
  readonly externalFiles?: ExternalFiles | undefined;
}

/**
 * Reads a safetensors file, a PyTorch checkpoint or an ONNX model.
 *
 * @param options.imageSize needed for an ONNX Swin that accepts several image sizes
 * @param options.externalFiles the files that `externalNamesOf` lists for an ONNX model
 * @throws CheckpointError as `readSafetensors`, `readTorch` and `readOnnx`
 * @throws UsageError `BYTES` if `bytes` is not a `Uint8Array`
 */
export function readFloatContainer(
  bytes: FloatFile,
  { file, imageSize, externalFiles }: ContainerOptions,
): FloatContainer {
  if (Array.isArray(bytes)) return joined(bytes, file);
  if (!(bytes instanceof Uint8Array)) {
    const found = Object.prototype.toString.call(bytes);
    throw new UsageError('BYTES', `${file}: expected the bytes of a file (a Uint8Array), found ${found}`);
  }
  if (isTorch(bytes)) return readTorch(bytes, { file });
  if (isOnnx(bytes)) {
    const { tensors, config } = readOnnx(bytes, { file, imageSize, externalFiles });
    const { family, gelu, ...sizes } = config;
    return {
      tensors,
      config: {
        ...sizes,
        ...(family === 'swin' ? { architecture: family } : { global_pool: 'token' }),
        activation: gelu === 'erf' ? 'exact' : gelu,
      },
    };
  }
  const { tensors, metadata } = readSafetensors(bytes, { file });
  return { tensors, fqvit: metadata.fqvit };
}

/**
 * The relative paths of the files that hold the weights of an ONNX model; empty for other formats.
 *
 * @throws as `externalNames`
 */
export function externalNamesOf(bytes: Uint8Array, file: string): string[] {
  return isOnnx(bytes) ? externalNames(bytes, file) : [];
}

/** Merges the parts of a sharded checkpoint. */
function joined(parts: readonly Uint8Array[], file: string): FloatContainer {
  const tensors = new Map<string, Tensor>();
  const nested = new Set<string>();
  for (const part of parts) {
    const container = readFloatContainer(part, { file });
    for (const key of container.nested ?? []) nested.add(key);
    for (const [name, tensor] of container.tensors) {
      if (tensors.has(name)) {
        throw new CheckpointError(
          'CHECKPOINT_SCHEME',
          `${file}: expected tensor ${quote(name)} in only one of the ${parts.length} parts, found it in two`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  return { tensors, nested };
}

/** The bytes of a file, or of all parts of a sharded checkpoint. */
export type FloatFile = Uint8Array | readonly Uint8Array[];
