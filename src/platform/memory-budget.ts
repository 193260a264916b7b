import type { MemoryGate } from './memory-gate.js';

/** A part of the budget, granted or waited for. */
export interface Share {
  /** Gives the share back, or stops waiting for it. */
  give(): void;
}

interface WaitingShare {
  readonly bytes: number;
  readonly grant: () => void;
}

/**
 * A budget of bytes, or of places. First come, first served, so that a large share is not overtaken
 * for ever.
 */
export class MemoryBudget implements MemoryGate {
  #taken = 0;
  readonly #waiting = new Set<WaitingShare>();

  constructor(readonly limit: number) {}

  /** Bytes in use. */
  get taken(): number {
    return this.#taken;
  }

  /** @param bytes at most the limit. @param grant called when they are free, perhaps at once */
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
      // later, because the caller needs the share first
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
