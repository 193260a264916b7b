import { setTimeout } from 'node:timers/promises';
import { HubError } from '../errors.js';

/** A failure that another attempt may not meet. */
export class PassingError extends HubError {
  constructor(
    code: string,
    message: string,
    options: ErrorOptions & {
      /** How long the server asks to wait. */
      afterMs?: number | undefined;
    } = {},
  ) {
    super(code, message, options);
    this.#afterMs = options.afterMs ?? 0;
  }

  readonly #afterMs: number;

  /** The pause after attempt `n`, counted from 1: 1, 2, 4 ... seconds, or what the server asks for if that is longer. */
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

/** 1 + 2 + 4 + 8 s of pauses in all. */
export const ATTEMPTS = 5;

/** A server that asks for a longer pause gets none: the person decides. */
const LONGEST_PAUSE_MS = 60_000;

/** Makes attempts until one succeeds, fails for good, or there have been enough. An attempt begins with a look at `signal`. */
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
