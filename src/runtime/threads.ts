import { hasWorkers, startWorker } from '#runtime/start-worker';
import { RuntimeError } from '../errors.js';
import type { Call } from '../models/integer/calls.js';
import { END, JOB_WORDS, STOP_WORD, type WorkerHandle } from './worker-task.js';

/** More than any machine that this is for has cores. */
export const MAX_THREADS = 64;

/**
 * Shared memory of a team: the state of the barrier, and on a cache line of its own the number of the job.
 */
export const TEAM_BYTES = 128;
export const JOB_OFFSET = 64;

/** Looks at the barrier before a thread sleeps: some 50 µs. */
const SPINS = 20_000;

/** The call that ends a step: all threads of the team are there. */
export function barrierCall(team: number, count: number): Call {
  return ['barrier', team, count, canSleep() ? SPINS : -1];
}

/** Whether this thread may wait for another; a browser's main thread may not. */
function canSleep(): boolean {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0);
    return true;
  } catch {
    return false;
  }
}

/** How many of the wanted threads there will be: 1 where the platform has no workers or no shared memory. */
export function availableThreads(wanted: number): number {
  return hasWorkers() && typeof SharedArrayBuffer === 'function' ? wanted : 1;
}

/** Workers that run their calls when told to, while the caller runs its own. */
export class Team {
  private constructor(
    private readonly job: Int32Array,
    private readonly workers: readonly WorkerHandle[],
    private readonly health: Health,
  ) {}

  /** @throws RuntimeError `THREADS` where a worker does not start */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    job: number,
    shares: readonly (readonly Call[])[],
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

  /** What a call throws after a thread has failed: the others cannot be trusted to be at the same step. */
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
   * Brings the workers back from the middle of a job: they stop where this thread does.
   *
   * @param passed barriers of the job that this thread has passed
   * @param barrier passes another
   */
  leave(passed: number, barrier: () => void): void {
    Atomics.store(this.job, STOP_WORD, passed + 1);
    barrier();
    barrier(); // behind which every worker has seen the word
    Atomics.store(this.job, STOP_WORD, 0);
  }

  /** Its workers end by themselves: what is terminated while it has a file open leaves it open. */
  end(): void {
    this.health.isEnding = true;
    Atomics.store(this.job, 0, END);
    Atomics.notify(this.job, 0);
    for (const worker of this.workers) worker.end();
  }
}

/** What the workers of a team tell of themselves. */
interface Health {
  fault?: unknown;
  isEnding: boolean;
}
