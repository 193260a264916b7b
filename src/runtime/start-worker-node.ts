import { Worker } from 'node:worker_threads';
import type { WorkerHandle, WorkerTask } from './worker-task.js';

/** Also from where the CommonJS build lies. */
const WORKER = new URL('../runtime/worker-node.js', import.meta.url);

/** How long a worker has to end by itself: one in the middle of an image waits for threads that may be gone. */
const GRACE_MS = 1000;

export function hasWorkers(): boolean {
  return true;
}

/**
 * A worker of a team, as soon as it has its kernels: Node, Deno and Bun.
 *
 * @param fail called if it ends or fails later
 */
export async function startWorker(task: WorkerTask, fail: (cause: unknown) => void): Promise<WorkerHandle> {
  const worker = new Worker(WORKER, { execArgv: [] }); // flags of the main script are not for it
  await new Promise<void>((resolve, reject) => {
    worker.once('message', (error: unknown) => (error === undefined ? resolve() : reject(error)));
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the worker ended')));
    worker.postMessage(task);
  });
  worker.removeAllListeners();
  worker.on('error', fail);
  worker.on('exit', () => fail(new Error('the worker ended')));
  worker.unref(); // a model that is not disposed keeps no process alive
  return {
    end() {
      const timer = setTimeout(() => worker.terminate(), GRACE_MS).unref();
      worker.once('exit', () => clearTimeout(timer));
    },
  };
}
