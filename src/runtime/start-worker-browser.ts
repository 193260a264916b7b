import type { WorkerHandle, WorkerTask } from './worker-task.js';

export function hasWorkers(): boolean {
  return typeof Worker === 'function';
}

/**
 * A worker of a team, as soon as it has its kernels: browsers.
 *
 * @param fail called if it fails later
 */
export async function startWorker(task: WorkerTask, fail: (cause: unknown) => void): Promise<WorkerHandle> {
  // bundlers find the script by this form
  const worker = new Worker(new URL('./worker-browser.js', import.meta.url), { type: 'module' });
  await new Promise<void>((resolve, reject) => {
    worker.onmessage = ({ data }) => (data === undefined ? resolve() : reject(data));
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(task);
  });
  worker.onerror = ({ message }) => fail(new Error(message));
  return { end: () => worker.terminate() };
}
