import { withShownAddresses } from './address.js';

/** So many silences in all may a request take, and a millisecond more for each byte: an answer of single bytes has an end too. */
const SILENCES = 10;

/** Ends a request when the caller wishes, when nothing has come for too long, or when it comes at less than 1 kB/s for long. */
export class Watch {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #silenceMs: number;
  readonly #stop = () => this.#controller.abort();
  /** Of waiting. */
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

  /** A part of the body, by its next bytes. */
  async part(
    reading: Promise<ReadableStreamReadResult<Uint8Array>>,
  ): Promise<ReadableStreamReadResult<Uint8Array>> {
    const part = await this.within(reading);
    this.#leftMs += part.value?.length ?? 0;
    return part;
  }

  /** Why what was waited for has failed. */
  reason(cause: unknown): string {
    return this.#expired ?? reasonOf(cause);
  }

  /** Of a request that has been answered whole nothing is left to end. */
  end(): void {
    this.#outer?.removeEventListener('abort', this.#stop);
    this.#stop();
  }
}

/** Why a request has failed: the system's code says more than the exception around it (`fetch failed`). */
export function reasonOf(cause: unknown): string {
  const { code, cause: inner } = (cause ?? {}) as {
    code?: unknown;
    cause?: { code?: unknown; message?: unknown };
  };
  const said = [code, inner?.code, inner?.message].find((value) => typeof value === 'string');
  return withShownAddresses((said as string | undefined) ?? String(cause));
}
