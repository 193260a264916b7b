/**
 * Reads the format of torch.save before 1.6: pickles of a magic number, the format version,
 * properties of the machine, the object, and the keys of its storages; then for each key, in this
 * order, an int64 count of elements and the elements.
 */

import { CheckpointError } from '../../errors.js';
import { formatValue } from '../../text/format-value.js';
import { quote } from '../../text/quote.js';
import type { TensorStorage } from './globals.js';
import { type Pickle, readPickle } from './pickle.js';
import type { TensorSource } from './tensors.js';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;
const COUNT_BYTES = 8;

/**
 * @throws CheckpointError `CHECKPOINT_FORMAT` for other pickles or a big-endian machine;
 *   `CHECKPOINT_TENSOR`, `CHECKPOINT_TRUNCATED`, `CHECKPOINT_TRAILING` for storages that do not fit
 *   the pickle; as `readPickle`
 */
export function readLegacy(
  bytes: Uint8Array,
  file: string,
): Pick<TensorSource, 'storageBytes'> & { root: unknown } {
  const expect = (start: number, what: string, sound: (value: unknown) => boolean): number => {
    const { value, end } = readPickle(bytes, start, file);
    if (sound(value)) return end;
    throw new CheckpointError(
      'CHECKPOINT_FORMAT',
      `${file}: not a PyTorch checkpoint: expected ${what} in the pickle at byte ${start}, found ${formatValue(value)}`,
    );
  };
  const version = expect(0, "PyTorch's magic number", (value) => value === MAGIC);
  const system = expect(version, `version ${VERSION}`, (value) => value === VERSION);
  const little = (value: unknown) => value instanceof Map && value.get('little_endian') === true;
  const object = readPickle(bytes, expect(system, 'a little-endian machine', little), file);
  const keys = readPickle(bytes, object.end, file);
  const contents = readStorages(bytes, keys, object.storages, file);
  const storageBytes = ({ key }: TensorStorage): Uint8Array =>
    contents.get(key) ?? refuseStorage(key, 'expected its key in the list of storages, found none', file);
  return { root: object.value, storageBytes };
}

/** Views on the file, by key. Nothing may follow the last storage. */
function readStorages(
  bytes: Uint8Array,
  { value: keys, end }: Pickle,
  storages: ReadonlyMap<string, TensorStorage>,
  file: string,
): Map<string, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const contents = new Map<string, Uint8Array>();
  let at = end;
  const take = (key: string, length: number): number => {
    if (length > bytes.length - at) {
      throw new CheckpointError(
        'CHECKPOINT_TRUNCATED',
        `${file}: storage ${quote(key)}: expected ${length} bytes at byte ${at}, found ${bytes.length - at}`,
      );
    }
    at += length;
    return at - length;
  };
  for (const key of Array.isArray(keys) ? keys : [keys]) {
    const storage = storages.get(key);
    if (!storage || contents.has(key))
      return refuseStorage(key, 'expected a storage that a tensor uses, listed once', file);
    const count = view.getBigUint64(take(key, COUNT_BYTES), true);
    if (count !== BigInt(storage.count)) {
      refuseStorage(key, `expected ${storage.count} elements, found ${count}`, file);
    }
    const length = storage.count * storage.element.bytes;
    const begin = take(key, length);
    contents.set(key, bytes.subarray(begin, begin + length));
  }
  if (at < bytes.length) {
    throw new CheckpointError(
      'CHECKPOINT_TRAILING',
      `${file}: expected the file to end with its storages at byte ${at}, found ${bytes.length - at} bytes more`,
    );
  }
  return contents;
}

function refuseStorage(key: unknown, message: string, file: string): never {
  throw new CheckpointError('CHECKPOINT_TENSOR', `${file}: storage ${formatValue(key)}: ${message}`);
}
