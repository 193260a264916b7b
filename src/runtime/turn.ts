/** Two words of shared memory for each lane: the number of the thread whose it is, and whether one computes there. */
export const TURN_WORDS = 2;
const [OWNER, BUSY] = [0, 1];

/** Longer than a forward pass takes; a thread that was ended in the middle of one never says that it is done. */
const LONGEST_PASS_MS = 5000;
const POLL_MS = 2;

/** Keeps a thread that has been replaced, which in some engines lives on for a while, out of the lane of its successor. */
export class Turn {
  constructor(
    private readonly words: Int32Array,
    private readonly owner: number,
  ) {}

  /** Makes the lane another thread's, and waits until nobody computes there. */
  static async take(words: Int32Array, owner: number): Promise<void> {
    Atomics.store(words, OWNER, owner);
    const end = performance.now() + LONGEST_PASS_MS;
    while (Atomics.load(words, BUSY) === 1 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    Atomics.store(words, BUSY, 0);
  }

  /** Each of the two sees what the other has said: this thread does not begin, or its successor waits. */
  run<T>(pass: () => T): T {
    Atomics.store(this.words, BUSY, 1);
    try {
      if (Atomics.load(this.words, OWNER) !== this.owner)
        throw new Error('its lane is that of another thread');
      return pass();
    } finally {
      Atomics.store(this.words, BUSY, 0);
    }
  }
}
