/**
 * Words of shared memory for each lane: the number of the owning thread, and for each of the last
 * threads whether it is computing there.
 */
export const TURN_WORDS = 64;
const OWNER = 0;
const busy = (owner: number) => 1 + ((owner - 1) % (TURN_WORDS - 1));

/** Longer than a forward pass: a thread that was terminated during one never reports its end. */
const LONGEST_PASS_MS = 5000;
const POLL_MS = 2;

/**
 * Keeps a replaced thread, which lives on for a while in some engines, out of its successor's lane.
 */
export class Turn {
  constructor(
    private readonly words: Int32Array,
    private readonly owner: number,
  ) {}

  /**
   * Gives the lane to the next thread, and waits until the previous one has stopped computing
   * there.
   */
  static async take(words: Int32Array, owner: number): Promise<void> {
    Atomics.store(words, OWNER, owner);
    const end = performance.now() + LONGEST_PASS_MS;
    while (owner > 1 && Atomics.load(words, busy(owner - 1)) === 1 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    Atomics.store(words, busy(owner), 0);
  }

  /** Either this thread sees that it was replaced and does not begin, or its successor waits. */
  run<T>(pass: () => T): T {
    const word = busy(this.owner);
    Atomics.store(this.words, word, 1);
    try {
      if (Atomics.load(this.words, OWNER) !== this.owner)
        throw new Error('its lane is that of another thread');
      return pass();
    } finally {
      Atomics.store(this.words, word, 0);
    }
  }
}
