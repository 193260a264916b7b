import { Problem } from './problem.js';
import { bodySlow } from './receiving.js';

/** The time limit of a request, and whether its client is still connected. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #client: AbortSignal;
  readonly #end: number;
  readonly #gone = () =>
    this.#controller.abort(new Problem(400, 'GONE', 'client: expected it there, found it gone'));

  constructor(
    private readonly ms: number,
    client: AbortSignal,
  ) {
    this.#client = client;
    this.#end = performance.now() + ms;
    client.addEventListener('abort', this.#gone);
    const late = new Problem(503, 'TIMEOUT', `service: expected an answer within ${ms} ms, found none`, {
      'retry-after': '1',
    });
    this.#timer = setTimeout(() => this.#controller.abort(late), ms);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The time left, in ms. */
  get left(): number {
    return this.#end - performance.now();
  }

  /** The result of `read` within half of the time. */
  async body<T>(read: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const slow = bodySlow(`it within ${this.ms / 2} ms`);
    const timer = setTimeout(() => this.#controller.abort(slow), this.ms / 2);
    try {
      return await read(this.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#client.removeEventListener('abort', this.#gone);
  }
}
