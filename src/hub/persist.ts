import { setTimeout } from 'node:timers/promises';
import { HubError } from '../errors.js';

/** A failure that may be gone at the next attempt. */
export class PassingError extends HubError {
  constructor(
    code: string,
    message: string,
    options: ErrorOptions & {
      /** Milliseconds that the server asks to wait. */
      afterMs?: number | undefined;
    } = {},
  ) {
    super(code, message, options);
    this.#afterMs = options.afterMs ?? 0;
  }

  readonly #afterMs: number;

  /**
   * The pause after attempt `n`, counted from 1: 1, 2, 4 ... seconds, or longer if the server asks
   * for it.
   */
  pauseMs(n: number): number {
    return Math.max(this.#afterMs, 1000 * 2 ** (n - 1));
  }
}

export interface Persistence {
  readonly attempts: number;
  readonly signal: AbortSignal | undefined;
  /** Waits; may reject when `signal` fires. */
  readonly pause: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
}

/** The pauses are 1 + 2 + 4 + 8 s. */
export const ATTEMPTS = 5;

/** If a server asks for a longer pause, the user decides when to try again. */
const LONGEST_PAUSE_MS = 60_000;

/** Tries until an attempt succeeds, fails for good, or is the last. Each first checks `signal`. */
export async function persist<T>(
  attempt: () => Promise<T>,
  { attempts, signal, pause }: Persistence,
): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof PassingError) || n >= attempts) throw error;
      const ms = error.pauseMs(n);
      if (ms > LONGEST_PAUSE_MS) throw error;
      await pause(ms, signal).catch(() => {});
    }
  }
}

export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return setTimeout(ms, undefined, signal ? { signal } : {});
}
