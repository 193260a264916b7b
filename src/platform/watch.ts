import { withShownAddresses } from './address.js';

/** Ends a request when the caller wishes, or when nothing has come for too long. */
export class Watch {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #silenceMs: number;
  readonly #stop = () => this.#controller.abort();
  #expired = false;

  constructor(outer: AbortSignal | undefined, silenceMs: number) {
    this.#outer = outer;
    this.#silenceMs = silenceMs;
    outer?.addEventListener('abort', this.#stop);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async within<T>(wait: Promise<T>): Promise<T> {
    const timer = setTimeout(() => {
      this.#expired = true;
      this.#stop();
    }, this.#silenceMs);
    try {
      return await wait;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Why what was waited for has failed. */
  reason(cause: unknown): string {
    return this.#expired ? `nothing for ${this.#silenceMs / 1000} s` : reasonOf(cause);
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
