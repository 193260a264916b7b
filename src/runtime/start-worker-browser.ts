import type { WorkerHandle, WorkerTask } from './worker-task.js';

export function hasWorkers(): boolean {
  return typeof Worker === 'function';
}

/**
 * Starts a worker of a team in a browser; resolves when its kernels are ready.
 *
 * @param fail called if it fails later
 */
export async function startWorker(task: WorkerTask, fail: (cause: unknown) => void): Promise<WorkerHandle> {
  // bundlers recognise this form and find the script
  const worker = new Worker(new URL('./worker-browser.js', import.meta.url), { type: 'module' });
  await new Promise<void>((resolve, reject) => {
    worker.onmessage = ({ data }) => (data === undefined ? resolve() : reject(data));
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.postMessage(task);
  });
  worker.onerror = ({ message }) => fail(new Error(message));
  return { end: () => worker.terminate() };
}
