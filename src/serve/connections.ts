import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How long a connection stays open after its last answer, so that the client can read it. */
const LINGER_MS = 1000;

/** Most pipelined requests of a connection. */
const MOST_PIPELINED = 100;

/** Pipelined requests that are answered per turn of the event loop. */
const PIPELINED_EACH_TURN = 8;

/** Bytes of unread answers in all connections; beyond it, those with the most are cut. */
const MOST_UNTAKEN = 64 * 2 ** 20;

/** How often these bytes are counted. */
const COUNT_MS = 500;

/** A request and its answer. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * The connections of a server. If all places are taken, a new connection replaces the oldest one
 * without work: first those that have their last answer, then those without a complete head, then
 * those that do not read their answers.
 */
export class Connections {
  /** Connections without a complete head. */
  readonly #waiting = new Set<Socket>();
  /** Connections with requests, in order; the first one is being answered. */
  readonly #working = new Map<Socket, Exchange[]>();
  /** Connections whose last answer is written. */
  readonly #lingering = new Set<Socket>();
  readonly #due: (() => void)[] = [];
  readonly #timer = setInterval(() => this.#cutUntaken(), COUNT_MS).unref();

  constructor(private readonly most: number) {}

  add(socket: Socket): void {
    if (this.#waiting.size + this.#working.size + this.#lingering.size >= this.most) {
      const idle = first(this.#lingering) ?? first(this.#waiting) ?? this.#untaken();
      if (idle === undefined) {
        socket.destroy();
        return;
      }
      this.#cut(idle);
    }
    this.#waiting.add(socket);
    socket.once('close', () => this.#forget(socket));
    // Node calls it after the last answer. Closing at once could lose the answer while the client
    // sends.
    socket.destroySoon = () => this.linger(socket);
  }

  /** Ends a connection when its answer is written, and after another second in any case. */
  linger(socket: Socket): void {
    if (this.#lingering.has(socket) || socket.destroyed) return;
    // skipping chunks is slow
    if (this.#working.get(socket)?.[0]?.request.headers['transfer-encoding'] !== undefined) socket.pause();
    this.#forget(socket);
    this.#lingering.add(socket);
    socket.end();
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  }

  isLingering(socket: Socket): boolean {
    return this.#lingering.has(socket);
  }

  /**
   * Answers the requests of a connection one after the other: waiting answers would take memory.
   */
  inTurn(answer: RequestListener): RequestListener {
    return (request, response) => {
      const { socket } = request;
      if (socket.destroyed || this.#lingering.has(socket)) return;
      const exchanges = this.#working.get(socket) ?? [];
      this.#waiting.delete(socket);
      this.#working.set(socket, exchanges);
      exchanges.push({ request, response });
      response.once('close', () => {
        exchanges.shift();
        if (socket.destroyed || this.#lingering.has(socket)) return;
        const [next] = exchanges;
        if (next !== undefined) {
          this.#later(() => answer(next.request, next.response));
          return;
        }
        this.#working.delete(socket);
        this.#waiting.add(socket);
      });
      if (exchanges.length > MOST_PIPELINED) this.#cut(socket);
      else if (exchanges.length === 1) answer(request, response);
    };
  }

  /** Ends connections without work; those with a complete, unanswered request stay. */
  stop(): void {
    for (const socket of this.#waiting) this.#cut(socket);
    for (const [socket, [exchange]] of this.#working) {
      if (exchange!.request.complete && !exchange!.response.writableEnded) continue;
      setTimeout(() => socket.destroy(), LINGER_MS).unref();
    }
    clearInterval(this.#timer);
  }

  /** Answers a few at a time, so that pipelined requests do not keep others waiting. */
  #later(answer: () => void): void {
    const turn = () => {
      for (const due of this.#due.splice(0, PIPELINED_EACH_TURN)) due();
      if (this.#due.length > 0) setImmediate(turn);
    };
    if (this.#due.push(answer) === 1) setImmediate(turn);
  }

  #cut(socket: Socket): void {
    this.#forget(socket);
    socket.destroy();
  }

  #forget(socket: Socket): void {
    this.#waiting.delete(socket);
    this.#working.delete(socket);
    this.#lingering.delete(socket);
  }

  #untaken(): Socket | undefined {
    for (const [socket, [exchange]] of this.#working) if (exchange!.response.writableEnded) return socket;
    return undefined;
  }

  #cutUntaken(): void {
    const answers = [...this.#working].map(([socket, [exchange]]) => ({
      socket,
      bytes: exchange!.response.writableLength,
    }));
    let sum = answers.reduce((bytes, one) => bytes + one.bytes, 0);
    if (sum <= MOST_UNTAKEN) return;
    for (const { socket, bytes } of answers.sort((a, b) => b.bytes - a.bytes)) {
      if (sum <= MOST_UNTAKEN) return;
      this.#cut(socket);
      sum -= bytes;
    }
  }
}

function first<T>(set: ReadonlySet<T>): T | undefined {
  const [one] = set;
  return one;
}
