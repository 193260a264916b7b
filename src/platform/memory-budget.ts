import type { MemoryGate } from './memory-gate.js';

/** A part of the budget that somebody has, or waits for. */
export interface Share {
  /** Gives it back, or does not wait for it any more. */
  give(): void;
}

interface Waiting {
  readonly bytes: number;
  readonly grant: () => void;
}

/** Bytes that several may take at a time. Who comes first is first: a large share is not overtaken by small ones, and so gets its turn. */
export class MemoryBudget implements MemoryGate {
  #taken = 0;
  readonly #waiting = new Set<Waiting>();

  constructor(readonly limit: number) {}

  /** Bytes that are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** @param bytes at most the limit. @param grant called once there are so many, perhaps at once */
  ask(bytes: number, grant: () => void): Share {
    const waiting = { bytes, grant };
    let isOver = false;
    this.#waiting.add(waiting);
    this.#advance();
    return {
      give: () => {
        if (isOver) return;
        isOver = true;
        if (!this.#waiting.delete(waiting)) this.#taken -= bytes;
        this.#advance();
      },
    };
  }

  enter(bytes: number, signal: AbortSignal | undefined): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      const abort = () => {
        share.give();
        reject(signal!.reason);
      };
      // not at once: the share has to be there
      const granted = () =>
        queueMicrotask(() => {
          signal?.removeEventListener('abort', abort);
          resolve(() => share.give());
        });
      signal?.addEventListener('abort', abort, { once: true });
      const share = this.ask(bytes, granted);
    });
  }

  #advance(): void {
    for (const first of this.#waiting) {
      if (this.#taken + first.bytes > this.limit) return;
      this.#waiting.delete(first);
      this.#taken += first.bytes;
      first.grant();
    }
  }
}
