/**
 * Reads the format of torch.save since 1.6: a ZIP archive with one folder, which contains
 * `data.pkl`, a storage in each `data/<key>`, and `byteorder`.
 */

import { CheckpointError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import type { TensorStorage } from './globals.js';
import { readPickle } from './pickle.js';
import type { TensorSource } from './tensors.js';
import { readZip, unpack, type ZipEntry } from './zip.js';

/** @throws CheckpointError `CHECKPOINT_FORMAT` for other archives; as `readZip` and `readPickle` */
export function readArchive(
  bytes: Uint8Array,
  allocate: TensorSource['allocate'],
  file: string,
): Pick<TensorSource, 'storageBytes'> & { root: unknown } {
  const entries = readZip(bytes, file);
  const pickles = [...entries.values()].filter(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  const pickle = pickles[0];
  if (!pickle || pickles.length > 1) {
    throw new CheckpointError(
      'CHECKPOINT_FORMAT',
      `${file}: not a PyTorch checkpoint: expected a ZIP archive with one folder that holds data.pkl, ` +
        `found ${pickles.length}`,
    );
  }
  const folder = pickle.name.slice(0, -'data.pkl'.length);
  checkByteOrder(entries.get(`${folder}byteorder`), allocate, file);
  const place = `${file}: ${quote(pickle.name)}`;
  const { value: root } = readPickle(unpack(pickle, allocate, file), 0, place);

  const unpacked = new Map<string, Uint8Array>();
  const storageBytes = ({ key, element, count }: TensorStorage): Uint8Array => {
    const entry = entries.get(`${folder}data/${key}`);
    const expected = count * element.bytes;
    if (entry?.size !== expected) {
      throw new CheckpointError(
        'CHECKPOINT_TENSOR',
        `${file}: storage ${quote(key)}: expected ${expected} bytes, found ${entry?.size ?? 'no entry'}`,
      );
    }
    const data = unpacked.get(key) ?? unpack(entry, allocate, file);
    unpacked.set(key, data);
    return data;
  };
  return { root, storageBytes };
}

/** Older releases write no byte order; they ran on little-endian machines. */
function checkByteOrder(entry: ZipEntry | undefined, allocate: TensorSource['allocate'], file: string): void {
  if (!entry) return;
  const order = () => quote(String.fromCharCode(...unpack(entry, allocate, file)));
  const found = entry.size > 10 ? `${entry.size} bytes` : order();
  if (found !== '"little"') {
    throw new CheckpointError(
      'CHECKPOINT_FORMAT',
      `${file}: expected the byte order "little", found ${found}`,
    );
  }
}
