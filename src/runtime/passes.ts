import { UsageError } from '../errors.js';
import { yieldToEvents } from '../platform/yield-to-events.js';

/** How long a pass keeps the thread, in ms: an abort waits for this and for one kernel call. */
const SLICE_MS = 50;

/** A forward pass, which yields between kernel calls and cleans up on `return()`. */
export type Pass<Result> = Generator<void, Result>;

/** Most multiply-accumulates of a kernel call: some 15 ms, in float 40. */
const CALL_MACS = 2 ** 29;
/** An element of a softmax or GELU takes as long as this many. */
export const ELEMENT_MACS = 64;

/**
 * Cuts rows into groups small enough for a short kernel call. The first row of each group is a
 * multiple of 8.
 */
export function* rowGroups(rows: number, macs: number): Generator<readonly [from: number, count: number]> {
  const most = 8 * Math.max(1, Math.floor(CALL_MACS / macs / 8));
  for (let from = 0; from < rows; from += most) yield [from, Math.min(most, rows - from)];
}

interface WaitingPass {
  readonly begin: () => Pass<unknown>;
  readonly signal: AbortSignal | undefined;
  resolve(result: unknown): void;
  reject(reason: unknown): void;
}

/**
 * Runs the forward passes over one memory, one after the other, in slices. Timers, messages and
 * signals are handled between slices.
 */
export class Passes {
  #line: WaitingPass[] = [];
  #isRunning = false;
  /** The pass that is paused between two slices. */
  #paused: Pass<unknown> | undefined;
  #hasEnded = false;

  /** @param around receives each slice and runs it */
  constructor(private readonly around: <T>(slice: () => T) => T = (slice) => slice()) {}

  /** Runs a pass in one piece. A paused pass starts again afterwards. */
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
   * Runs a pass in slices, after earlier passes.
   *
   * @param begin called again if `now` has used the memory meanwhile
   * @throws what the pass throws; the reason of `signal`; UsageError `DISPOSED` after `end`
   */
  run<Result>(begin: () => Pass<Result>, signal?: AbortSignal): Promise<Result> {
    return new Promise<unknown>((resolve, reject) => {
      this.#line.push({ begin, signal, resolve, reject });
      if (!this.#isRunning) this.#runAll();
    }) as Promise<Result>;
  }

  /** Passes without a result throw, and so do later ones. */
  end(): void {
    this.#hasEnded = true;
    this.#paused = undefined; // no clean-up: the threads that shared it have ended too
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

  async #inSlices({ begin, signal }: WaitingPass): Promise<unknown> {
    let pass: Pass<unknown> | undefined;
    for (;;) {
      if (this.#hasEnded) throw disposedError();
      if (signal?.aborted) {
        this.#leave();
        throw signal.reason;
      }
      const running: Pass<unknown> = pass !== undefined && this.#paused === pass ? pass : begin();
      this.#paused = undefined;
      const { value, done } = this.around(() => slice(running));
      if (done) return value;
      this.#paused = pass = running;
      await yieldToEvents();
      this.#dropAborted();
    }
  }

  #leave(): void {
    this.#paused?.return(undefined);
    this.#paused = undefined;
  }

  /** A waiting pass hears of an abort before its turn. */
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

/** What a call finds after `dispose()`. */
export function disposedError(): UsageError {
  return new UsageError('DISPOSED', 'model: expected a loaded model, found one that has been disposed');
}
