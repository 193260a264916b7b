import { Worker } from 'node:worker_threads';
import type { WorkerHandle, WorkerTask } from './worker-task.js';

/** Resolves from the CommonJS build too. */
const WORKER = new URL('../runtime/worker-node.js', import.meta.url);

/**
 * How long a worker may take to end by itself; within an image it may wait for threads that ended.
 */
const GRACE_MS = 1000;

export function hasWorkers(): boolean {
  return true;
}

/**
 * Starts a worker of a team in Node, Deno or Bun; resolves when its kernels are ready.
 *
 * @param fail called if it ends or fails later
 */
export async function startWorker(task: WorkerTask, fail: (cause: unknown) => void): Promise<WorkerHandle> {
  const worker = new Worker(WORKER, { execArgv: [] }); // without the flags of the main script
  await new Promise<void>((resolve, reject) => {
    worker.once('message', (error: unknown) => (error === undefined ? resolve() : reject(error)));
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the worker ended')));
    worker.postMessage(task);
  });
  worker.removeAllListeners();
  worker.on('error', fail);
  worker.on('exit', () => fail(new Error('the worker ended')));
  worker.unref(); // a model that nobody disposes does not keep the process alive
  return {
    end() {
      const timer = setTimeout(() => worker.terminate(), GRACE_MS).unref();
      worker.once('exit', () => clearTimeout(timer));
    },
  };
}
