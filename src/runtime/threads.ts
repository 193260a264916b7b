import { RuntimeError } from '../errors.js';
import type { Call } from '../models/integer/calls.js';

/** More than any machine that this is for has cores. */
export const MAX_THREADS = 64;

/**
 * Shared memory of a team: the state of the barrier, and on a cache line of its own the number of the job; -1 ends the workers.
 */
export const TEAM_BYTES = 128;
export const JOB_OFFSET = 64;
export const END = -1;

/** Looks at the barrier before a thread sleeps: some 50 µs. */
const SPINS = 20_000;

/** What a worker needs: plain values and shared ones. */
export interface WorkerTask {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly calls: readonly Call[];
  /** Address of the number of the job. */
  readonly job: number;
}

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
  const hasWorkers = isNodeLike() || typeof Worker === 'function';
  return hasWorkers && typeof SharedArrayBuffer === 'function' ? wanted : 1;
}

const isNodeLike = () => typeof process !== 'undefined' && process.versions?.node !== undefined;

/** Workers that run their calls when told to, while the caller runs its own. */
export class Team {
  private constructor(
    private readonly job: Int32Array,
    private readonly workers: readonly WorkerHandle[],
  ) {}

  /** @throws RuntimeError `THREADS` where a worker does not start */
  static async start(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    job: number,
    shares: readonly (readonly Call[])[],
  ): Promise<Team> {
    const started = await Promise.allSettled(
      shares.map((calls) => startWorker({ module, memory, calls, job })),
    );
    const workers = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = started.find((result) => result.status === 'rejected');
    if (failed === undefined) return new Team(new Int32Array(memory.buffer, job, 1), workers);
    for (const worker of workers) worker.terminate();
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
    Atomics.add(this.job, 0, 1);
    Atomics.notify(this.job, 0);
  }

  end(): void {
    Atomics.store(this.job, 0, END);
    Atomics.notify(this.job, 0);
    for (const worker of this.workers) worker.terminate();
  }
}

interface WorkerHandle {
  terminate(): unknown;
}

const WORKER = new URL('./worker.js', import.meta.url);

/** Resolves when the worker has its kernels. */
async function startWorker(task: WorkerTask): Promise<WorkerHandle> {
  if (isNodeLike()) {
    const { Worker } = await import('node:worker_threads');
    const worker = new Worker(WORKER, { execArgv: [] }); // flags of the main script are not for it
    await new Promise<void>((resolve, reject) => {
      worker.once('message', (error: unknown) => (error === undefined ? resolve() : reject(error)));
      worker.once('error', reject);
      worker.once('exit', () => reject(new Error('the worker ended')));
      worker.postMessage(task);
    });
    worker.removeAllListeners();
    worker.unref(); // a model that is not disposed keeps no process alive
    return worker;
  }
  const worker = new Worker(WORKER, { type: 'module' });
  await new Promise<void>((resolve, reject) => {
    worker.onmessage = ({ data }) => (data === undefined ? resolve() : reject(data));
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(task);
  });
  return worker;
}
