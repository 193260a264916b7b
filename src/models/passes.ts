import { breathe } from '../platform/breathe.js';
import { disposed } from '../predict.js';

/** How long a pass keeps the thread to itself, in ms: so late it notices an abort, beside its longest kernel call. */
const SLICE_MS = 50;

/** A forward pass: it yields between kernel calls. Left by `return()`, it tidies up. */
export type Pass<Result> = Generator<void, Result>;

/** Multiply-accumulates of a kernel call: some 15 ms, in float 40. */
const CALL_MACS = 2 ** 29;
/** An element of a softmax or GELU takes as long as so many of them. */
export const ELEMENT_MACS = 64;

/** Rows in groups so small that a kernel call over each is short. The first row of each is a multiple of 8. */
export function* rowGroups(rows: number, macs: number): Generator<readonly [from: number, count: number]> {
  const most = 8 * Math.max(1, Math.floor(CALL_MACS / macs / 8));
  for (let from = 0; from < rows; from += most) yield [from, Math.min(most, rows - from)];
}

interface Waiting {
  readonly begin: () => Pass<unknown>;
  readonly signal: AbortSignal | undefined;
  resolve(result: unknown): void;
  reject(reason: unknown): void;
}

/**
 * The forward passes over one memory, one after the other. They run in slices, between which timers, messages and signals are handled.
 */
export class Passes {
  #line: Waiting[] = [];
  #isRunning = false;
  /** The pass that is between two slices. */
  #paused: Pass<unknown> | undefined;
  #hasEnded = false;

  /** @param around is given each slice to run */
  constructor(private readonly around: <T>(slice: () => T) => T = (slice) => slice()) {}

  /** Runs a pass in one piece. One that is paused begins again after it. */
  now<Result>(begin: () => Pass<Result>): Result {
    this.#leave();
    return this.around(() => {
      const pass = begin();
      for (;;) {
        const { value, done } = pass.next();
        if (done) return value;
      }
    });
  }

  /**
   * Runs a pass in slices, after those that were asked for before.
   *
   * @param begin called again where `now` has used the memory meanwhile
   * @throws what the pass throws; the reason of `signal`; UsageError `DISPOSED` after `end`
   */
  run<Result>(begin: () => Pass<Result>, signal?: AbortSignal): Promise<Result> {
    return new Promise<unknown>((resolve, reject) => {
      this.#line.push({ begin, signal, resolve, reject });
      if (!this.#isRunning) this.#runAll();
    }) as Promise<Result>;
  }

  /** Passes that have no result yet throw, as do those that come later. */
  end(): void {
    this.#hasEnded = true;
    this.#paused = undefined; // without tidying up: whoever shared it has ended too
  }

  async #runAll(): Promise<void> {
    this.#isRunning = true;
    for (let next = this.#line.shift(); next !== undefined; next = this.#line.shift()) {
      try {
        next.resolve(await this.#inSlices(next));
      } catch (error) {
        next.reject(error);
      }
    }
    this.#isRunning = false;
  }

  async #inSlices({ begin, signal }: Waiting): Promise<unknown> {
    let pass: Pass<unknown> | undefined;
    for (;;) {
      if (this.#hasEnded) throw disposed();
      if (signal?.aborted) {
        this.#leave();
        throw signal.reason;
      }
      const running: Pass<unknown> = pass !== undefined && this.#paused === pass ? pass : begin();
      this.#paused = undefined;
      const { value, done } = this.around(() => slice(running));
      if (done) return value;
      this.#paused = pass = running;
      await breathe();
      this.#dropAborted();
    }
  }

  #leave(): void {
    this.#paused?.return(undefined);
    this.#paused = undefined;
  }

  /** Those that wait need not wait for their turn to hear of it. */
  #dropAborted(): void {
    this.#line = this.#line.filter(({ signal, reject }) => {
      if (signal?.aborted) reject(signal.reason);
      return !signal?.aborted;
    });
  }
}

function slice<Result>(pass: Pass<Result>): IteratorResult<void, Result> {
  const end = performance.now() + SLICE_MS;
  for (;;) {
    const step = pass.next();
    if (step.done || performance.now() >= end) return step;
  }
}
