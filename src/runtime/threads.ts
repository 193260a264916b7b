import { hasWorkers, startWorker } from '#runtime/start-worker';
import { RuntimeError } from '../errors.js';
import type { KernelCall } from './calls.js';
import { END, JOB_WORDS, STOP_WORD, type WorkerHandle } from './worker-task.js';

/** More than the cores of any machine we aim at. */
export const MAX_THREADS = 64;

/**
 * Shared memory of a team: the state of the barrier and, on its own cache line, the job number.
 */
export const TEAM_BYTES = 128;
export const JOB_OFFSET = 64;

/** How often a thread reads the barrier before it sleeps: some 50 µs. */
const SPINS = 20_000;

/** The call that ends a step: it waits for all threads of the team. */
export function barrierCall(team: number, count: number): KernelCall {
  return ['barrier', team, count, canSleep() ? SPINS : -1];
}

/** Whether this thread may sleep; a browser's main thread may not. */
function canSleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** How many threads a model gets: 1 if the platform has no workers or no shared memory. */
export function availableThreads(wanted: number): number {
  return hasWorkers() && typeof SharedArrayBuffer === 'function' ? wanted : 1;
}

/** Workers that run their calls when woken, while the caller runs its own. */
export class Team {
  private constructor(
    private readonly job: Int32Array,
    private readonly workers: readonly WorkerHandle[],
    private readonly health: Health,
  ) {}

  /** @throws RuntimeError `THREADS` if a worker does not start */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    job: number,
    shares: readonly (readonly KernelCall[])[],
  ): Promise<Team> {
    const health: Health = { isEnding: false };
    const fail = (cause: unknown) => {
      if (!health.isEnding) health.fault ??= cause;
    };
    const started = await Promise.allSettled(
      shares.map((calls) => startWorker({ module, memory, calls, job }, fail)),
    );
    const workers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = started.find((result) => result.status === 'rejected');
    const team = new Team(new Int32Array(memory.buffer, job, JOB_WORDS), workers, health);
    if (failed === undefined) return team;
    team.end();
    throw new RuntimeError(
      'THREADS',
      `threads: expected ${shares.length} workers, one failed: ${String(failed.reason)}`,
      {
        cause: failed.reason,
      },
    );
  }

  /** Wakes the workers; the barriers of the calls do the rest. */
  begin(): void {
    if (this.health.fault !== undefined) throw this.fault(this.health.fault);
    Atomics.add(this.job, 0, 1);
    Atomics.notify(this.job, 0);
  }

  /**
   * The error of every call after a thread has failed: the others may be at another step.
   */
  fault(cause: unknown): RuntimeError {
    this.health.fault = cause;
    return new RuntimeError(
      'THREADS',
      `threads: expected all threads of the model to run, one failed: ${String(cause)}`,
      {
        cause,
      },
    );
  }

  /**
   * Stops the workers in the middle of a job, where this thread stops.
   *
   * @param passed barriers of the job that this thread has passed
   * @param barrier passes one more
   */
  leave(passed: number, barrier: () => void): void {
    Atomics.store(this.job, STOP_WORD, passed + 1);
    barrier();
    barrier(); // after it, every worker has seen the word
    Atomics.store(this.job, STOP_WORD, 0);
  }

  /** Lets the workers end by themselves: a terminated one would leave its files open. */
  end(): void {
    this.health.isEnding = true;
    Atomics.store(this.job, 0, END);
    Atomics.notify(this.job, 0);
    for (const worker of this.workers) worker.end();
  }
}

/** What the workers of a team report. */
interface Health {
  fault?: unknown;
  isEnding: boolean;
}
