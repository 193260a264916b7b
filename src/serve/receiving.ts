import { BYTES_PER_SECOND, PATIENCE_MS, Pace } from './pace.js';
import { Problem, stoppingProblem } from './problem.js';

/** Limits on request bodies that are arriving. */
export interface ReceivingLimits {
  /** Bodies that arrive at the same time. The next one replaces the slowest. Default 1024. */
  readonly bodies?: number;
  /** Bytes of all requests, from arrival to answer. Default 256 MiB. */
  readonly bytes?: number;
}

/** How often a silent body is checked for its pace, and for the end of the service. */
const LOOK_MS = 500;

/** The smallest initial buffer. */
const FIRST_BYTES = 2 ** 16;

/** A body that is arriving. */
interface Coming {
  readonly pace: Pace;
  refuse(reason: unknown): void;
}

/**
 * The bodies of all requests. Silent clients keep nobody out: without room, the body furthest
 * behind its pace is refused, and a client that sends is ahead of all that do not.
 */
export class Receiving {
  readonly coming = new Set<Coming>();
  /** Bytes of all requests. */
  bytes = 0;
  readonly #maxBodies: number;
  readonly #maxBytes: number;

  constructor(
    { bodies = 1024, bytes = 256 * 2 ** 20 }: ReceivingLimits,
    readonly isStopping: () => boolean,
  ) {
    this.#maxBodies = bodies;
    this.#maxBytes = bytes;
  }

  add(body: Coming): void {
    while (this.coming.size >= this.#maxBodies) this.#slowest()!.refuse(crowded());
    this.coming.add(body);
  }

  /** Counts more bytes of an arriving body or a fetched image. @throws Problem 503 `OVERLOAD` */
  take(bytes: number, body?: Coming): void {
    while (this.bytes + bytes > this.#maxBytes) {
      const slowest = this.#slowest();
      if (slowest === undefined || slowest === body) throw crowded();
      slowest.refuse(crowded());
    }
    this.bytes += bytes;
  }

  #slowest(): Coming | undefined {
    let slowest: Coming | undefined;
    for (const one of this.coming) if (!(slowest && slowest.pace.end <= one.pace.end)) slowest = one;
    return slowest;
  }
}

/** The bytes that one request holds until `close`. */
export class Account {
  #held = 0;

  constructor(private readonly all: Receiving) {}

  /** @throws Problem 503 `OVERLOAD` */
  take(bytes: number, body?: Coming): void {
    this.all.take(bytes, body);
    this.#held += bytes;
  }

  close(): void {
    this.all.bytes -= this.#held;
    this.#held = 0;
  }

  /**
   * Reads the body, at most `maxBytes` whatever length the sender states. Joins small chunks as
   * they arrive, because each alone costs a hundred bytes.
   *
   * @param signal ends a body that arrives too slowly
   * @throws Problem 413 `BODY_TOO_LARGE`, 400 `BODY_CUT`, 408 `BODY_SLOW`, 503 `OVERLOAD` or
   *   `STOPPING`; the reason of `signal`
   */
  receive({ headers, body }: Request, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    const said = Number(headers.get('content-length'));
    if (said > maxBytes) throw tooLarge(maxBytes);
    if (body === null) return Promise.resolve(new Uint8Array());
    const { all } = this;
    const pace = new Pace();
    const reader = body.getReader();
    let bytes = new Uint8Array();
    let length = 0;
    let timer: ReturnType<typeof setTimeout>;
    return new Promise<Uint8Array>((resolve, reject) => {
      const aborted = () => coming.refuse(signal.reason);
      const settle = () => {
        all.coming.delete(coming);
        clearTimeout(timer);
        signal.removeEventListener('abort', aborted);
      };
      const coming: Coming = {
        pace,
        refuse: (reason) => {
          settle();
          this.close();
          reject(reason);
          reader.cancel().catch(() => {});
        },
      };
      const add = (part: Uint8Array) => {
        pace.add(part.length);
        const needed = length + part.length;
        if (needed > maxBytes) throw tooLarge(maxBytes);
        if (needed > bytes.length) {
          const most = said >= needed ? said : maxBytes;
          const size = Math.max(needed, Math.min(most, Math.max(FIRST_BYTES, 2 * bytes.length)));
          this.take(size - bytes.length, coming);
          const larger = new Uint8Array(size);
          larger.set(bytes.subarray(0, length));
          bytes = larger;
        }
        bytes.set(part, length);
        length = needed;
      };
      const pump = async () => {
        for (;;) {
          const { done, value } = await reader.read();
          if (!all.coming.has(coming)) return;
          if (done) break;
          add(value);
        }
        settle();
        resolve(bytes.subarray(0, length));
      };
      const look = () => {
        if (all.isStopping()) coming.refuse(stoppingProblem());
        else if (performance.now() >= pace.end) coming.refuse(bodySlow(PACE));
        else timer = setTimeout(look, LOOK_MS);
      };
      all.add(coming);
      timer = setTimeout(look, LOOK_MS);
      signal.addEventListener('abort', aborted);
      if (signal.aborted) aborted();
      pump().catch((error: unknown) => coming.refuse(error instanceof Problem ? error : bodyCut()));
    });
  }
}

const PACE = `no pause of ${PATIENCE_MS / 1000} s and ${BYTES_PER_SECOND} bytes a second`;

/** Closes the connection: the rest of the body is not read. */
const CLOSE = { connection: 'close' };

export function bodySlow(expected: string): Problem {
  return new Problem(408, 'BODY_SLOW', `body: expected ${expected}, found a part of it`, CLOSE);
}

function bodyCut(): Problem {
  return new Problem(400, 'BODY_CUT', 'body: expected one to its end, found a connection that ended', CLOSE);
}

function tooLarge(maxBytes: number): Problem {
  return new Problem(413, 'BODY_TOO_LARGE', `body: expected at most ${maxBytes} bytes, found more`, CLOSE);
}

function crowded(): Problem {
  const message = 'service: expected room for the body, found it taken by those of others';
  return new Problem(503, 'OVERLOAD', message, { ...CLOSE, 'retry-after': '1' });
}
