/** What the targets of images share: what an accepted picture must be, and EXIF blocks. */

import { readFileSync } from 'node:fs';
import { decodeImage } from '../../../src/image/decode.js';
import type { RgbImage } from '../../../src/image/types.js';
import type { Dice } from '../dice.js';
import { mutatedBytes } from '../mutate.js';
import { expectThat, FILE, same } from '../target.js';

export const IMAGE_CODES = [
  'IMAGE_DAMAGED',
  'IMAGE_EMPTY',
  'IMAGE_FORMAT',
  'IMAGE_TOO_LARGE',
  'IMAGE_TRUNCATED',
  'IMAGE_UNSUPPORTED',
];

export const IMAGE_PLACE = new RegExp(`^${FILE}: `);

/** Bounds what one input costs. */
export const MAX_PIXELS = 2 ** 18;

export const imageFixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../../image/fixtures/${name}`, import.meta.url)));

/** Decodes a picture twice as it is stored, and once upright. @returns it as it is stored */
export async function checkImage(input: Uint8Array): Promise<RgbImage> {
  const before = input.slice();
  const options = { file: FILE, maxPixels: MAX_PIXELS };
  const upright = await decodeImage(input, options);
  const stored = await decodeImage(input, { ...options, orient: false });
  const again = await decodeImage(input, { ...options, orient: false });
  for (const { width, height, data } of [upright, stored]) {
    expectThat(width >= 1 && height >= 1 && width * height <= MAX_PIXELS, `${width}×${height} pixels`);
    expectThat(data.length === width * height * 3, `${data.length} bytes for ${width}×${height} pixels`);
  }
  const sides = [upright.width, upright.height].sort((a, b) => a - b).join();
  expectThat(
    sides === [stored.width, stored.height].sort((a, b) => a - b).join(),
    'other sides when upright',
  );
  expectThat(same(again.data, stored.data) && again.width === stored.width, 'other pixels the second time');
  expectThat(same(input, before), 'the input was changed');
  return stored;
}

/** As `checkImage`, of a picture whose header announces these sides, where it can be read. */
export async function checkSides(
  input: Uint8Array,
  announced: readonly number[] | undefined,
): Promise<undefined> {
  const { width, height } = await checkImage(input);
  expectThat(
    announced === undefined || (announced[0] === width && announced[1] === height),
    `${width}×${height} pixels, the header says ${announced?.join('×')}`,
  );
}

/** Throws unless known pictures still have the pixels that they had first. */
export function imageControl(...names: readonly string[]): () => Promise<void> {
  const first = new Map<string, Uint8Array>();
  return async () => {
    for (const name of names) {
      const { data } = await decodeImage(imageFixture(name));
      expectThat(same(data, first.get(name) ?? data), `${name} has other pixels than before`);
      first.set(name, data);
    }
  };
}

/** A TIFF block with an orientation, at times with entries, offsets and counts that are wrong. */
export function exifBlock(dice: Dice): Uint8Array {
  const isLittle = dice.chance(0.5);
  const count = dice.between(1, 4);
  const block = Buffer.alloc(8 + 2 + count * 12 + 4 + 16);
  const u16 = (value: number, at: number) =>
    isLittle ? block.writeUInt16LE(value, at) : block.writeUInt16BE(value, at);
  const u32 = (value: number, at: number) =>
    isLittle ? block.writeUInt32LE(value, at) : block.writeUInt32BE(value, at);
  block.write(isLittle ? 'II' : 'MM', 'latin1');
  u16(42, 2);
  u32(8, 4);
  u16(dice.chance(0.9) ? count : dice.oddInteger() & 0xffff, 8);
  for (let i = 0; i < count; i++) {
    const at = 10 + 12 * i;
    u16(dice.pick([0x112, 0x112, 0x10f, 0x8769, 0x14a]), at);
    u16(
      dice.weighed([
        [6, 3],
        [1, 4],
        [1, 5],
        [1, dice.below(20)],
      ] as const),
      at + 2,
    );
    u32(dice.chance(0.8) ? 1 : dice.oddInteger(), at + 4);
    if (dice.chance(0.8)) u16(dice.between(0, 9), at + 8);
    else u32(dice.oddInteger(), at + 8);
  }
  return dice.chance(0.8) ? new Uint8Array(block) : mutatedBytes(dice, new Uint8Array(block), 1);
}
