/** The file formats of float checkpoints, told apart by their first bytes. */

import { CheckpointError, UsageError } from '../errors.js';
import type { FloatFile } from './float-model.js';
import { isOnnx, isTorch } from './foreign-file.js';
import { externalNames, readOnnx } from './onnx/read-onnx.js';
import type { ExternalFiles } from './onnx/stored.js';
import { readSafetensors, type Tensor } from './safetensors.js';
import { quoted } from './safetensors-header.js';
import { readTorch } from './torch/read-torch.js';

export interface FloatContainer {
  /** Names of dictionaries in a PyTorch checkpoint, which stand before those of the tensors in them. */
  readonly nested?: ReadonlySet<string>;
  /** By the file's own names; those of an ONNX graph, which has none to rely on, by canonical ones. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The metadata string `fqvit` of a safetensors file. */
  readonly fqvit?: string | undefined;
  /** What a PyTorch checkpoint says that its model is. */
  readonly arch?: string | undefined;
  /** And what the training script was called with. */
  readonly args?: Readonly<Record<string, unknown>> | undefined;
  /** What an ONNX graph tells, as a config. */
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
 * @param options.imageSize for an ONNX Swin that takes images of several sizes
 * @param options.externalFiles of an ONNX model, those of `externalNamesOf`
 * @throws CheckpointError those of `readSafetensors`, `readTorch` and `readOnnx`
 * @throws UsageError `BYTES` for anything but bytes
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

/** The files beside an ONNX model that hold its weights, by the names that it has for them; none for other formats. @throws as `externalNames` */
export function externalNamesOf(bytes: Uint8Array, file: string): string[] {
  return isOnnx(bytes) ? externalNames(bytes, file) : [];
}

/** The tensors of all parts. */
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
          `${file}: expected tensor ${quoted(name)} in one of the ${parts.length} parts, found it in two`,
        );
      }
      tensors.set(name, tensor);
    }
  }
  return { tensors, nested };
}
