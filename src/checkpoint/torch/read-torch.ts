/**
 * Reads PyTorch checkpoints (`.pth`, `.pt`, `.bin`) from `torch.save` without executing any code.
 */

import { CheckpointError } from '../../errors.js';
import type { Tensor } from '../safetensors/safetensors.js';
import { readArchive } from './archive.js';
import { Namespace } from './globals.js';
import { readLegacy } from './legacy.js';
import { findTensors } from './state-dict.js';
import { readTensor } from './tensors.js';

/**
 * Memory for transposed or expanded views and for deflated entries: this much for any file, plus
 * four times its size. torch.save deflates nothing, and weights are rarely such views.
 */
const SMALL_ALLOWANCE = 16 * 1024 * 1024;
const ALLOWANCE_FACTOR = 4;

/**
 * Reads the tensors of a checkpoint, at the top level and in nested dictionaries (such as `model`
 * or `state_dict`). The keys of the dictionaries become a prefix of the names.
 *
 * @param bytes the whole file; tensors are views on it unless they are not stored in row-major
 *   order
 * @param options.file the file name for messages
 * @returns the tensors by name, in the order of the file; `nested`, the keys of the dictionaries
 *   that contain them; `arch` and `args`, the model's name and the arguments of timm's training
 *   script
 * @throws CheckpointError
 *   `CHECKPOINT_GLOBAL` the pickle names a global outside a short allow-list; no tensor was read;
 *   `CHECKPOINT_TRUNCATED`, `CHECKPOINT_TRAILING` the file is shorter or longer than it should be;
 *   `CHECKPOINT_ZIP`, `CHECKPOINT_PICKLE` the container or pickle is damaged, or not from
 *   torch.save;
 *   `CHECKPOINT_FORMAT` not a PyTorch checkpoint, big-endian, or without tensors by name;
 *   `CHECKPOINT_TENSOR` a tensor exceeds its storage, is sparse or quantised, or has a type that
 *   safetensors lacks
 */
export function readTorch(
  bytes: Uint8Array,
  options: { file: string },
): {
  tensors: ReadonlyMap<string, Tensor>;
  nested: ReadonlySet<string>;
  arch: string | undefined;
  args: Readonly<Record<string, unknown>> | undefined;
} {
  const { file } = options;
  const allocate = allocator(SMALL_ALLOWANCE + ALLOWANCE_FACTOR * bytes.length, file);
  const { root, storageBytes } = isZip(bytes, file)
    ? readArchive(bytes, allocate, file)
    : readLegacy(bytes, file);
  const source = { file, storageBytes, allocate };
  const { stored, nested } = findTensors(root, file);
  const tensors = new Map([...stored].map(([name, one]) => [name, readTensor(name, one, source)]));
  const arch = root instanceof Map ? root.get('arch') : undefined;
  if (typeof arch !== 'string') return { tensors, nested, arch: undefined, args: undefined };
  return { tensors, nested, arch, args: argumentsOf(root as ReadonlyMap<string, unknown>) };
}

/** The script's arguments as plain objects, two levels deep. */
function argumentsOf(root: ReadonlyMap<string, unknown>): Readonly<Record<string, unknown>> | undefined {
  const args = root.get('args');
  const attributes = args instanceof Namespace ? args.attributes : args;
  if (!(attributes instanceof Map)) return undefined;
  return Object.fromEntries(
    [...attributes].map(([name, value]) => [name, value instanceof Map ? Object.fromEntries(value) : value]),
  );
}

/** Checks the first bytes: `PK` of a ZIP archive, or the first opcode of a pickle. */
function isZip(bytes: Uint8Array, file: string): boolean {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b) return true;
  if (bytes[0] === 0x80) return false;
  throw new CheckpointError(
    'CHECKPOINT_FORMAT',
    `${file}: not a PyTorch checkpoint: expected a ZIP archive or a pickle, found ${bytes.length} bytes that are neither`,
  );
}

function allocator(allowance: number, file: string): (bytes: number) => Uint8Array {
  let left = allowance;
  return (bytes) => {
    if (bytes > left) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR',
        `${file}: expected at most ${allowance} bytes in views and deflated entries together, ` +
          `found ${bytes} in addition to ${allowance - left}`,
      );
    }
    left -= bytes;
    return new Uint8Array(bytes);
  };
}
