/** Where a generator's decisions come from. */

import { mulberry32 } from '../../src/quantize/random.js';

/** Above every number that is drawn. */
const RANGE = 2 ** 32;

/** Numbers at which readers fail: around the widths of integers, and around 0. */
const ODD_INTEGERS = [
  ...[
    0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 1000, 1023, 1024,
  ],
  ...[
    4095,
    4096,
    16383,
    16384,
    32767,
    32768,
    65535,
    65536,
    2 ** 20,
    2 ** 24,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
  ],
];

/**
 * The decisions of one input. A generator makes the least change with the number 0, so that an
 * input becomes simpler as its numbers become 0: that is how a finding is minimised.
 */
export class Dice {
  /** What was drawn so far. */
  readonly drawn: number[] = [];
  readonly #next: () => number;

  /** @param next uint32 */
  private constructor(next: () => number) {
    this.#next = next;
  }

  /** Those of one input: the same seed and index make the same input. */
  static of(seed: number, index: number): Dice {
    return new Dice(mulberry32((Math.imul(seed, 0x85ebca6b) ^ Math.imul(index, 0x9e3779b1)) >>> 0));
  }

  /** These numbers, and zeros after them. */
  static replay(numbers: readonly number[]): Dice {
    let at = 0;
    return new Dice(() => numbers[at++] ?? 0);
  }

  /** 0..n - 1 */
  below(n: number): number {
    return Math.floor((this.#draw() / RANGE) * n);
  }

  /** low..high */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** True with this probability; where it is at least a half, the number 0 is true. */
  chance(probability: number): boolean {
    const drawn = this.#draw() / RANGE;
    return probability >= 0.5 ? drawn < probability : drawn >= 1 - probability;
  }

  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new Error('dice: expected something to pick from');
    return list[this.below(list.length)]!;
  }

  /** One of these by its weight. */
  weighed<T>(list: readonly (readonly [weight: number, T])[]): T {
    return this.pick(list.flatMap(([weight, one]) => new Array<T>(weight).fill(one)));
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length; at += 4) {
      const word = this.#draw();
      for (let i = 0; i < 4 && at + i < length; i++) bytes[at + i] = word >>> (8 * i);
    }
    return bytes;
  }

  /** Random bytes that are one decision. */
  noise(length: number): Uint8Array {
    const next = mulberry32(this.#draw());
    return Uint8Array.from({ length }, next);
  }

  uint32(): number {
    return this.#draw();
  }

  oddInteger(): number {
    return this.chance(0.2) ? this.#draw() : this.pick(ODD_INTEGERS);
  }

  #draw(): number {
    const value = this.#next();
    this.drawn.push(value);
    return value;
  }
}
