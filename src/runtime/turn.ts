/** Words of shared memory for each lane: the number of the thread whose it is, and for each of the last threads whether it computes there. */
export const TURN_WORDS = 64;
const OWNER = 0;
const busy = (owner: number) => 1 + ((owner - 1) % (TURN_WORDS - 1));

/** Longer than a forward pass takes; a thread that was ended in the middle of one never says that it is done. */
const LONGEST_PASS_MS = 5000;
const POLL_MS = 2;

/** Keeps a thread that has been replaced, which in some engines lives on for a while, out of the lane of its successor. */
export class Turn {
  constructor(
    private readonly words: Int32Array,
    private readonly owner: number,
  ) {}

  /** Makes the lane the next thread's, and waits until the one before computes there no more; those before that have been waited for. */
  static async take(words: Int32Array, owner: number): Promise<void> {
    Atomics.store(words, OWNER, owner);
    const end = performance.now() + LONGEST_PASS_MS;
    while (owner > 1 && Atomics.load(words, busy(owner - 1)) === 1 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    Atomics.store(words, busy(owner), 0);
  }

  /** Each of the two sees what the other has said: this thread does not begin, or its successor waits. */
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
