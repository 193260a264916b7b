import { withShownAddresses } from './address.js';

/** A request may take this many silences plus a millisecond per byte, so a trickle ends too. */
const SILENCES = 10;

/**
 * Ends a request when the caller aborts it, when nothing arrives for too long, or when it stays
 * below 1 kB/s for long.
 */
export class Watch {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #silenceMs: number;
  readonly #stop = () => this.#controller.abort();
  /** Milliseconds spent waiting. */
  #leftMs: number;
  #expired: string | undefined;

  constructor(outer: AbortSignal | undefined, silenceMs: number) {
    this.#outer = outer;
    this.#silenceMs = silenceMs;
    this.#leftMs = SILENCES * silenceMs;
    outer?.addEventListener('abort', this.#stop);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async within<T>(wait: Promise<T>): Promise<T> {
    const start = performance.now();
    const isSilence = this.#silenceMs <= this.#leftMs;
    const timer = setTimeout(
      () => {
        this.#expired = isSilence ? `nothing for ${this.#silenceMs / 1000} s` : 'less than 1 kB/s';
        this.#stop();
      },
      Math.min(this.#silenceMs, this.#leftMs),
    );
    try {
      return await wait;
    } finally {
      clearTimeout(timer);
      this.#leftMs -= performance.now() - start;
    }
  }

  /** The next part of the body. */
  async part(
    reading: Promise<ReadableStreamReadResult<Uint8Array>>,
  ): Promise<ReadableStreamReadResult<Uint8Array>> {
    const part = await this.within(reading);
    this.#leftMs += part.value?.length ?? 0;
    return part;
  }

  /** Why a wait failed. */
  reason(cause: unknown): string {
    return this.#expired ?? reasonOf(cause);
  }

  /** Releases everything, also after a complete answer. */
  end(): void {
    this.#outer?.removeEventListener('abort', this.#stop);
    this.#stop();
  }
}

/** Why a request failed: the system's code says more than the exception's `fetch failed`. */
export function reasonOf(cause: unknown): string {
  const { code, cause: inner } = (cause ?? {}) as {
    code?: unknown;
    cause?: { code?: unknown; message?: unknown };
  };
  const said = [code, inner?.code, inner?.message].find((value) => typeof value === 'string');
  return withShownAddresses((said as string | undefined) ?? String(cause));
}
