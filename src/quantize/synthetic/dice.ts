import { mulberry32 } from '../random.js';

/**
 * Random numbers of a seed, the same to the bit everywhere: nothing but exact arithmetic on
 * mulberry32.
 */
export class Dice {
  readonly #next: () => number;

  /** @param seed 0..2^32 - 1 */
  constructor(seed: number) {
    this.#next = mulberry32(seed);
  }

  /** From `low` to below `high`. */
  between(low: number, high: number): number {
    return low + ((high - low) * this.#next()) / 2 ** 32;
  }

  /** An integer from 0 to below `count`. */
  below(count: number): number {
    return Math.floor(this.between(0, count));
  }

  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }

  /**
   * About normal, of mean 0 and deviation 1: a sum of twelve, since no engine owes us the last bit
   * of a logarithm.
   */
  normal(): number {
    let sum = -6;
    for (let i = 0; i < 12; i++) sum += this.between(0, 1);
    return sum;
  }
}
