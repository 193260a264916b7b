/** The container alone. */

import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import type { Dice } from '../dice.js';
import { encoded, joined, jsonText, mutatedBytes, mutatedJson, mutatedText, oddText } from '../mutate.js';
import { expectThat, FILE, same, type Target } from '../target.js';

export const CONTAINER_CODES = [
  'CHECKPOINT_FORMAT',
  'CHECKPOINT_HEADER',
  'CHECKPOINT_TENSOR',
  'CHECKPOINT_TRAILING',
  'CHECKPOINT_TRUNCATED',
];

const BYTES = { BOOL: 1, U8: 1, I16: 2, F16: 2, BF16: 2, F32: 4, I32: 4, F64: 8, I64: 8 } as const;

/** Header text and data as a file, its length as the text has it unless told otherwise. */
export function container(header: Uint8Array, data: Uint8Array, length = BigInt(header.length)): Uint8Array {
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt.asUintN(64, length));
  return joined(start, header, data);
}

/** The header of a sound file, parsed, and its data. */
export function split(file: Uint8Array): { header: Record<string, unknown>; data: Uint8Array } {
  const end = 8 + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  return { header: JSON.parse(Buffer.from(file.subarray(8, end)).toString()), data: file.subarray(end) };
}

/** A sound file with its header, its data or its bytes changed. */
export function damaged(dice: Dice, file: Uint8Array): Uint8Array {
  const { header, data } = split(file);
  const way = dice.below(6);
  if (way === 0) return mutatedBytes(dice, file);
  if (way === 1) {
    const text = encoded(mutatedText(dice, JSON.stringify(header)));
    return container(text, data);
  }
  if (way === 2) {
    const text = encoded(JSON.stringify(header));
    return container(text, data, BigInt(text.length) + BigInt(dice.pick([1, -1, 8, 1000, 2 ** 31, 2 ** 53])));
  }
  if (way === 3) return container(encoded(jsonText(dice, header)), mutatedBytes(dice, data, 1));
  return container(encoded(jsonText(dice, mutatedJson(dice, header))), data);
}

function sound(dice: Dice): Uint8Array {
  const names = Array.from({ length: dice.between(0, 5) }, (_, i) =>
    dice.chance(0.2) ? `${oddText(dice).replaceAll(/\p{C}/gu, '')}${i}` : `block.${i}.weight`,
  );
  const tensors = names.map((name): Tensor => {
    const dtype = dice.pick(Object.keys(BYTES) as (keyof typeof BYTES)[]);
    const shape = Array.from({ length: dice.between(0, 4) }, () => dice.pick([1, 2, 3, 0, 5, 8]));
    const size = shape.reduce((product, n) => product * n, BYTES[dtype]);
    return { name, dtype, shape, data: dice.bytes(size) };
  });
  return writeSafetensors(tensors, dice.chance(0.5) ? { format: 'pt' } : {});
}

const sorted = (strings: Readonly<Record<string, string>>) => Object.entries(strings).sort();

export const safetensors: Target = {
  name: 'safetensors',
  about: 'The container: header, types, shapes, offsets',
  inputs: 3000,
  codes: CONTAINER_CODES,
  place: new RegExp(`^${FILE}: `),
  make(dice) {
    const file = sound(dice);
    return dice.chance(0.9) ? damaged(dice, file) : file;
  },
  async check(input) {
    const { tensors, metadata } = readSafetensors(input, { file: FILE });
    for (const { name, dtype, shape, data } of tensors.values()) {
      const size = shape.reduce((product, n) => product * n, BYTES[dtype as keyof typeof BYTES] ?? 1);
      if (dtype in BYTES) expectThat(data.length === size, `data of another size: ${name}`);
      expectThat(data.buffer === input.buffer, 'data outside of the file');
    }
    const again = readSafetensors(writeSafetensors(tensors.values(), metadata), { file: FILE });
    expectThat(
      JSON.stringify(sorted(again.metadata)) === JSON.stringify(sorted(metadata)),
      'other metadata when written again',
    );
    expectThat(again.tensors.size === tensors.size, 'other tensors when written again');
    for (const [name, { data }] of tensors) {
      expectThat(same(again.tensors.get(name)!.data, data), 'other data when written again');
    }
    return undefined;
  },
};
