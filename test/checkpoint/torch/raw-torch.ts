/** Handmade PyTorch checkpoints, which can have exactly one error. */

import type { Tensor } from '../../../src/checkpoint/safetensors/safetensors.js';

type Part = string | number | Uint8Array | readonly number[];

/** Concatenates ASCII text, single bytes and lists of bytes. */
export function bytesOf(...parts: Part[]): Uint8Array {
  const pieces = parts.map((part) => {
    if (typeof part === 'number') return Uint8Array.of(part);
    return typeof part === 'string' ? Buffer.from(part, 'latin1') : Uint8Array.from(part);
  });
  return new Uint8Array(Buffer.concat(pieces));
}

export function u32(value: number): number[] {
  return [...new Uint8Array(Uint32Array.of(value).buffer)];
}

export function u64(value: number | bigint): number[] {
  return [...new Uint8Array(BigUint64Array.of(BigInt(value)).buffer)];
}

/** The opcodes that push a string. */
export function text(value: string): Uint8Array {
  return bytesOf('X', u32(value.length), value);
}
/** The opcode that pushes a 32-bit integer. */
export function int(value: number): Uint8Array {
  return bytesOf('J', u32(value));
}

/** The opcode that pushes a global. */
export function global(module: string, name: string): Uint8Array {
  return bytesOf(`c${module}\n${name}\n`);
}

export function tuple(...items: Part[]): Uint8Array {
  return bytesOf('(', ...items, 't');
}

/** The opcodes of a dictionary with these keys. */
export function dictionary(entries: Readonly<Record<string, Uint8Array>>): Uint8Array {
  const items = Object.entries(entries).flatMap(([key, value]) => [text(key), value]);
  return bytesOf('}(', ...items, 'u');
}

/** The opcodes of a tensor. Default: one float in the storage "0". */
export interface RawTensor {
  storage?: Uint8Array;
  type?: Uint8Array;
  key?: string;
  count?: number;
  offset?: Uint8Array;
  size?: Uint8Array;
  stride?: Uint8Array;
}

export function tensor(raw: RawTensor = {}): Uint8Array {
  const { type = global('torch', 'FloatStorage'), key = '0', count = 1 } = raw;
  const id = tuple(text('storage'), type, text(key), text('cpu'), int(count));
  const { storage = bytesOf(id, 'Q'), offset = int(0), size = tuple(int(1)), stride = tuple(int(1)) } = raw;
  const args = tuple(storage, offset, size, stride, 0x89, '}');
  return bytesOf(global('torch._utils', '_rebuild_tensor_v2'), args, 'R');
}

/** A pickle of protocol 2 with these opcodes. */
export function pickled(...opcodes: Part[]): Uint8Array {
  return bytesOf(0x80, 2, ...opcodes, '.');
}

const HEADS = [
  pickled(0x8a, 10, [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]),
  pickled('M', [0xe9, 0x03]),
];

/** A legacy checkpoint with this object; `storages` are pairs of a key and floats. */
export function legacy(
  object: Uint8Array,
  storages: readonly (readonly [string, readonly number[]])[] = [['0', [1]]],
  little: Uint8Array = bytesOf(0x88),
): Uint8Array {
  return bytesOf(
    ...HEADS,
    pickled(dictionary({ little_endian: little })),
    object,
    pickled('](', ...storages.map(([key]) => text(key)), 'e'),
    ...storages.flatMap(([, floats]) => [
      u64(floats.length),
      new Uint8Array(Float32Array.from(floats).buffer),
    ]),
  );
}

/** An entry of a ZIP archive. Header fields are derived from `data` by default. */
export interface RawEntry {
  name: string;
  data: Uint8Array;
  localName?: string;
  method?: number;
  flags?: number;
  size?: number;
  packedSize?: number;
  /** Replaces the offset of the entry. */
  begin?: number;
  /** Puts the sizes and the offset in a ZIP64 field of this many bytes. */
  zip64?: number;
}

/** A ZIP archive without checksums; `end` changes fields of its end record. */
export function zip(
  entries: readonly RawEntry[],
  end: { count?: number; begin?: number; length?: number; zip64?: boolean } = {},
): Uint8Array {
  const locals: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let at = 0;
  for (const entry of entries) {
    const { name, data, method = 0, flags = 0, localName = name } = entry;
    const { size = data.length, packedSize = data.length, begin = at, zip64 } = entry;
    const wide = zip64 !== undefined;
    const field = bytesOf(u64(size), u64(packedSize), u64(begin)).subarray(0, zip64 ?? 0);
    const padding = bytesOf('FB', u16(0));
    const extra = wide ? bytesOf(padding, u16(1), u16(field.length), field) : padding;
    const sizes = wide ? [0xffffffff, 0xffffffff] : [packedSize, size];
    const common = bytesOf(u16(flags), u16(method), u32(0), u32(0), ...sizes.map(u32));
    const header = bytesOf('PK\x03\x04', u16(20), common, u16(localName.length), u16(4), localName, padding);
    locals.push(header, data);
    const lengths = bytesOf(u16(name.length), u16(extra.length), u16(0), u16(0), u16(0), u32(0));
    const place = u32(wide ? 0xffffffff : begin);
    directory.push(bytesOf('PK\x01\x02', u16(20), u16(20), common, lengths, place, name, extra));
    at += header.length + data.length;
  }
  const all = bytesOf(...directory);
  const { count = entries.length, begin = at, length = all.length } = end;
  const end64 = end.zip64
    ? bytesOf(
        'PK\x06\x06',
        u64(44),
        u16(45),
        u16(45),
        u32(0),
        u32(0),
        u64(count),
        u64(count),
        u64(length),
        u64(begin),
      )
    : [];
  const locator = end.zip64 ? bytesOf('PK\x06\x07', u32(0), u64(at + all.length), u32(1)) : [];
  const counts = end.zip64 ? [0xffff, 0xffff] : [count, count];
  const places = end.zip64 ? [0xffffffff, 0xffffffff] : [length, begin];
  const tail = bytesOf('PK\x05\x06', u16(0), u16(0), ...counts.map(u16), ...places.map(u32), u16(0));
  return bytesOf(...locals, all, end64, locator, tail);
}

function u16(value: number): number[] {
  return [value & 255, value >> 8];
}

/** The entries of a torch.save archive with a pickle and storages of floats, by key. */
export function archive(
  object: Uint8Array,
  storages: Readonly<Record<string, readonly number[]>> = { 0: [1] },
): RawEntry[] {
  return [
    { name: 'archive/data.pkl', data: object },
    { name: 'archive/byteorder', data: bytesOf('little') },
    ...Object.entries(storages).map(([key, floats]) => ({
      name: `archive/data/${key}`,
      data: new Uint8Array(Float32Array.from(floats).buffer),
    })),
  ];
}

/**
 * The output of `torch.save({"model": state_dict})` for float32 tensors, as in facebook's files.
 */
export function saved(tensors: readonly Tensor[]): Uint8Array {
  return savedNested({ model: tensors });
}

/** Like `saved`, with several state dicts and other entries. */
export function savedNested(
  dicts: Readonly<Record<string, readonly Tensor[]>>,
  others: Readonly<Record<string, Uint8Array>> = {},
): Uint8Array {
  const storages: Uint8Array[] = [];
  const stateDict = (tensors: readonly Tensor[]) => {
    const state = tensors.map(({ name, shape, data }) => {
      const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
      const [size, stride] = [shape, strides].map((list) => tuple(...list.map(int)));
      const key = String(storages.push(data) - 1);
      return [name, tensor({ key, count: data.length / 4, size: size!, stride: stride! })] as const;
    });
    return dictionary(Object.fromEntries(state));
  };
  const root = Object.entries(dicts).map(([key, tensors]) => [key, stateDict(tensors)] as const);
  const entries = archive(pickled(dictionary({ ...others, ...Object.fromEntries(root) })), {});
  return zip([...entries, ...storages.map((data, i) => ({ name: `archive/data/${i}`, data }))]);
}
