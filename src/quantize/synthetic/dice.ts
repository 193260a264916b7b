import { mulberry32 } from '../random.js';

/**
 * Random numbers from a seed, with the same bits in every engine: exact arithmetic on mulberry32.
 */
export class Dice {
  readonly #next: () => number;

  /** @param seed 0..2^32 - 1 */
  constructor(seed: number) {
    this.#next = mulberry32(seed);
  }

  /** A number from `low` up to, but excluding, `high`. */
  between(low: number, high: number): number {
    return low + ((high - low) * this.#next()) / 2 ** 32;
  }

  /** An integer from 0 to `count` - 1. */
  below(count: number): number {
    return Math.floor(this.between(0, count));
  }

  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }

  /**
   * Roughly normal, mean 0 and deviation 1: a sum of twelve, because engines may differ in the last
   * bit of a logarithm.
   */
  normal(): number {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += this.between(0, 1);
    return sum;
  }
}
