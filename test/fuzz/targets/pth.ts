/** PyTorch checkpoints: archives, the pickles in them, storages, and the legacy form. */

import { readFileSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { readSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import {
  archive,
  bytesOf,
  dictionary,
  global,
  int,
  legacy,
  pickled,
  type RawEntry,
  saved,
  tensor,
  text,
  tuple,
  zip,
} from '../../checkpoint/torch/raw-torch.js';
import { tinyFloatFile, tinySwinFile } from '../../support/tiny-integer.js';
import type { Dice } from '../dice.js';
import { joined, mutatedBytes, oddText } from '../mutate.js';
import type { Target } from '../target.js';
import { checkFloat, FLOAT_CODES } from './float.js';

const fixture = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../checkpoint/torch/fixtures/${name}.pth`, import.meta.url)));

const models = [tinyFloatFile({ depth: 1 }), tinySwinFile({ depths: [1, 1] })].map((file) => [
  ...readSafetensors(file).tensors.values(),
]);

const FILES: readonly Uint8Array[] = [
  ...models.map(saved),
  ...['kinds', 'kinds-legacy', 'prefixed', 'protocol-4', 'training', 'training-legacy', 'unsigned'].map(
    fixture,
  ),
];

/** Entries of the archives that are not compressed. */
function entriesOf(file: Uint8Array): RawEntry[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const entries: RawEntry[] = [];
  for (let at = 0; at + 46 <= file.length; at++) {
    if (view.getUint32(at, true) !== 0x02014b50) continue;
    const begin = view.getUint32(at + 42, true);
    const size = view.getUint32(at + 24, true);
    const name = Buffer.from(file.subarray(at + 46, at + 46 + view.getUint16(at + 28, true))).toString();
    const start = begin + 30 + view.getUint16(begin + 26, true) + view.getUint16(begin + 28, true);
    entries.push({ name, data: file.subarray(start, start + size) });
  }
  return entries;
}

/** Mostly models: only those are read to their end. */
const ARCHIVES = [...Array(3).fill(FILES.slice(0, models.length)).flat(), ...FILES]
  .map(entriesOf)
  .filter((entries) => entries.length > 0);

/** Bytes of the argument of an opcode; -1: up to the second line feed. */
const ARGUMENTS = new Map<number, (bytes: Uint8Array, at: number) => number>([
  ...[0x4b, 0x68, 0x71].map((op) => [op, () => 1] as const),
  ...[0x4d].map((op) => [op, () => 2] as const),
  ...[0x4a, 0x6a, 0x72].map((op) => [op, () => 4] as const),
  ...[0x47, 0x95].map((op) => [op, () => 8] as const),
  [0x80, () => 1],
  ...[0x43, 0x55, 0x8a, 0x8c].map((op) => [op, (bytes: Uint8Array, at: number) => 1 + bytes[at]!] as const),
  ...[0x42, 0x58].map(
    (op) => [op, (bytes: Uint8Array, at: number) => 4 + Buffer.from(bytes).readUInt32LE(at)] as const,
  ),
  [0x63, (bytes, at) => bytes.indexOf(10, bytes.indexOf(10, at) + 1) + 1 - at],
]);

/** The opcodes of a pickle, each with its argument. */
function opcodesOf(pickle: Uint8Array): Uint8Array[] {
  const opcodes: Uint8Array[] = [];
  for (let at = 0; at < pickle.length; ) {
    const end = at + 1 + (ARGUMENTS.get(pickle[at]!)?.(pickle, at + 1) ?? 0);
    opcodes.push(pickle.subarray(at, end));
    if (pickle[at] === 0x2e) break;
    at = end;
  }
  return opcodes;
}

const GLOBALS = [
  ...[
    ['torch', 'FloatStorage'],
    ['torch', 'HalfStorage'],
    ['torch', 'LongStorage'],
    ['torch', 'BoolStorage'],
  ],
  ...[
    ['torch._utils', '_rebuild_tensor_v2'],
    ['torch._utils', '_rebuild_parameter'],
    ['collections', 'OrderedDict'],
  ],
  ...[
    ['os', 'system'],
    ['builtins', 'eval'],
    ['argparse', 'Namespace'],
    ['torch', 'Size'],
    ['numpy', 'ndarray'],
  ],
] as [string, string][];

function oddOpcode(dice: Dice): Uint8Array {
  const dot = '.'.charCodeAt(0);
  return dice.pick<() => Uint8Array>([
    () => Uint8Array.of(dice.pick([...'()]}aesuRbtQ012lNdio'].map((letter) => letter.charCodeAt(0)))),
    () =>
      Uint8Array.of(dice.pick([0x81, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8f, 0x90, 0x91, 0x93, 0x94, 0x92, dot])),
    () => int(dice.oddInteger()),
    () => bytesOf(0x8a, 9, [...dice.bytes(9)]),
    () => text(oddText(dice).replaceAll(/[^ -~]/g, '?')),
    () => global(...dice.pick(GLOBALS)),
    () => bytesOf(dice.pick(['h', 'q']), dice.below(256)),
    () => bytesOf(dice.pick(['j', 'r']), [...Buffer.from(Uint32Array.of(dice.oddInteger()).buffer)]),
    () => tensor({ key: String(dice.below(3)), count: dice.oddInteger() }),
    () => bytesOf('G', [...dice.bytes(8)]),
    () => bytesOf(0x80, dice.below(8)),
    () => dice.bytes(4),
  ])();
}

const repeated = (bytes: Uint8Array, count: number) =>
  new Uint8Array(Buffer.alloc(bytes.length * count, bytes));

/**
 * Values that name themselves or each other, so that walking through them takes long or never ends.
 */
function bomb(dice: Dice): Uint8Array {
  const count = dice.chance(0.99) ? dice.pick([3, 30, 100, 1000]) : 60_000;
  const build = dice.pick<() => Uint8Array>([
    // a list in itself
    () => bytesOf(']q\x00', 'h\x00a'),
    () => bytesOf('}q\x00', text('a'), 'h\x00s'),
    // twice the one before
    () => bytesOf('N', repeated(bytesOf('q\x01h\x01', 0x86), count)),
    () => bytesOf('}', repeated(bytesOf('q\x01}', text('a'), 'h\x01s', text('b'), 'h\x01s'), count)),
    // deep
    () => bytesOf('N', repeated(bytesOf(0x85), count * 10)),
    () => bytesOf('('.repeat(count * 10), 't'.repeat(count * 10)),
    () => bytesOf(']', repeated(bytesOf('](]e'), count)),
    // one tensor under many names
    () =>
      bytesOf(
        tensor(),
        'q\x020}',
        joined(...Array.from({ length: Math.min(count, 1000) }, (_, i) => bytesOf(text(`t${i}`), 'h\x02s'))),
      ),
  ]);
  const value = build();
  return pickled(dice.chance(0.5) ? value : dictionary({ model: value }));
}

/** A tensor whose size, strides, offset or storage may be wrong. */
function oddTensor(dice: Dice): Uint8Array {
  const rank = dice.between(0, 4);
  const numbers = () =>
    tuple(
      ...Array.from({ length: dice.chance(0.1) ? rank + 1 : rank }, () =>
        int(dice.pick([1, 0, 2, 3, dice.oddInteger()])),
      ),
    );
  const type = global(...dice.pick(GLOBALS));
  return tensor({
    ...(dice.chance(0.5) ? { type } : {}),
    key: dice.pick(['0', '1', '2', 'x']),
    count: dice.chance(0.5) ? 4 : dice.oddInteger(),
    offset: int(dice.chance(0.6) ? 0 : dice.oddInteger()),
    size: numbers(),
    stride: numbers(),
  });
}

function oddArchive(dice: Dice): RawEntry[] {
  const names = Array.from(
    { length: dice.between(1, 4) },
    (_, i) => [`layer.${i}.weight`, oddTensor(dice)] as const,
  );
  return archive(pickled(dictionary(Object.fromEntries(names))), { 0: [1, 2, 3, 4], 1: [1, 2, 3, 4] });
}

function mutatedPickle(dice: Dice, pickle: Uint8Array): Uint8Array {
  const opcodes = opcodesOf(pickle);
  for (let i = dice.between(1, 3); i > 0; i--) {
    const at = dice.below(opcodes.length);
    const length = dice.pick([1, 2, 5, 20]);
    switch (dice.below(5)) {
      case 0:
        opcodes.splice(at, length);
        break;
      case 1:
        opcodes.splice(at, 0, oddOpcode(dice));
        break;
      case 2:
        opcodes.splice(at, 1, oddOpcode(dice));
        break;
      case 3:
        opcodes.splice(at, 0, ...opcodes.slice(at, at + length));
        break;
      default:
        opcodes.splice(at, 1, mutatedBytes(dice, opcodes[at] ?? new Uint8Array(1), 1));
    }
  }
  return joined(...opcodes);
}

function mutatedEntries(dice: Dice, entries: readonly RawEntry[]): RawEntry[] {
  const at = dice.below(entries.length);
  const entry = entries[at]!;
  const replaced = (...others: RawEntry[]) => [...entries.slice(0, at), ...others, ...entries.slice(at + 1)];
  switch (dice.below(9)) {
    case 0:
      return replaced();
    case 1:
      return replaced(entry, entry);
    case 2:
      return replaced({
        ...entry,
        name: dice.pick([`${entry.name}x`, oddText(dice), entry.name.replace(/\d+$/, '7')]),
      });
    case 3:
      return replaced({ ...entry, localName: `${entry.name}y` });
    case 4: {
      const data = new Uint8Array(deflateRawSync(entry.data));
      return replaced({
        ...entry,
        method: 8,
        data,
        packedSize: data.length,
        size: dice.pick([entry.data.length, dice.oddInteger()]),
      });
    }
    case 5: {
      const size = dice.pick([2 ** 16, 2 ** 20, 2 ** 22]);
      const data = new Uint8Array(deflateRawSync(new Uint8Array(size)));
      return replaced({ ...entry, method: 8, data, packedSize: data.length, size });
    }
    case 6:
      return replaced({
        ...entry,
        ...dice.pick([
          { size: dice.oddInteger() },
          { packedSize: dice.oddInteger() },
          { begin: dice.oddInteger() },
          { flags: dice.oddInteger() & 0xffff },
          { method: dice.oddInteger() & 0xffff },
        ]),
      });
    case 7:
      return replaced({ ...entry, zip64: dice.pick([24, 16, 8, 0]) });
    default:
      return replaced({ ...entry, data: mutatedBytes(dice, entry.data, 1) });
  }
}

function fileOf(dice: Dice): Uint8Array {
  const way = dice.below(8);
  if (way === 0) return mutatedBytes(dice, dice.pick(FILES));
  if (way === 1) return zip(archive(bomb(dice)));
  if (way === 2) return zip(oddArchive(dice));
  if (way === 3) {
    const object = pickled(dictionary({ a: oddTensor(dice), b: oddTensor(dice) }));
    return legacy(dice.chance(0.7) ? object : mutatedPickle(dice, object), [['0', [1, 2, 3, 4]]]);
  }
  let entries = dice.pick(ARCHIVES);
  if (way < 6) {
    entries = entries.map((entry) =>
      entry.name.endsWith('.pkl') ? { ...entry, data: mutatedPickle(dice, entry.data) } : entry,
    );
  } else entries = mutatedEntries(dice, entries);
  const end = dice.chance(0.9)
    ? {}
    : dice.pick([
        { count: dice.oddInteger() & 0xffff },
        { begin: dice.oddInteger() },
        { length: dice.oddInteger() },
        { zip64: true },
      ]);
  return zip(entries, end);
}

export const pth: Target = {
  name: 'pth',
  about: 'PyTorch checkpoints: archives, pickles, storages, the legacy form',
  inputs: 600,
  codes: FLOAT_CODES,
  place: /^fuzz\.bin(: |\/)/,
  make: (dice) => (dice.chance(0.97) ? fileOf(dice) : dice.pick(FILES)),
  check: (input) => checkFloat(input, { heads: 2 }),
};
