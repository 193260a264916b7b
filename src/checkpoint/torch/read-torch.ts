/** PyTorch checkpoints (`.pth`, `.pt`, `.bin`): what `torch.save` wrote, read without running any of it. */

import { CheckpointError } from '../../errors.js';
import type { Tensor } from '../safetensors.js';
import { readArchive } from './archive.js';
import { Namespace } from './globals.js';
import { readLegacy } from './legacy.js';
import { findTensors } from './state-dict.js';
import { readTensor } from './tensors.js';

/**
 * What may be made beside the bytes of the file, from transposed or expanded views and deflated entries: so much of any
 * file, and four times a large one. torch.save deflates nothing and the weights of a model are hardly ever views.
 */
const SMALL_ALLOWANCE = 16 * 1024 * 1024;
const ALLOWANCE_FACTOR = 4;

/**
 * Reads the tensors of a checkpoint: those at the top and those of dictionaries in it (`model`, `state_dict` and the like), whose keys
 * then stand before the names.
 *
 * @param bytes the whole file; the tensors are views on it unless they are stored otherwise than row by row
 * @param options.file how messages name the file
 * @returns the tensors by name, in the order of the file; the keys of the dictionaries that hold some; `arch`, the name of the model in
 *   what timm's training script saves, and `args`, what that was called with
 * @throws CheckpointError
 *   `CHECKPOINT_GLOBAL` the pickle names something outside a short allow-list; nothing was read of the tensors;
 *   `CHECKPOINT_TRUNCATED`, `CHECKPOINT_TRAILING` the file ends before or after what it promises;
 *   `CHECKPOINT_ZIP`, `CHECKPOINT_PICKLE` the container or the pickle is damaged, or torch.save does not write such;
 *   `CHECKPOINT_FORMAT` it is no PyTorch checkpoint, of a big-endian machine, or holds no tensors by name;
 *   `CHECKPOINT_TENSOR` a tensor does not lie in its storage, is sparse, quantised or of a type that safetensors has not
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

/** By the first bytes: `PK` of a ZIP archive, or the first opcode of a pickle. */
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
        `${file}: expected at most ${allowance} bytes in views and deflated entries together, found ${bytes} more ` +
          `than the ${allowance - left} before`,
      );
    }
    left -= bytes;
    return new Uint8Array(bytes);
  };
}
