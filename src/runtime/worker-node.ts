/** The script of a team's worker in Node, Deno and Bun. */
import { parentPort } from 'node:worker_threads';
import { work } from './worker-loop.js';
import type { WorkerTask } from './worker-task.js';

parentPort!.once('message', (task: WorkerTask) => {
  work(task, (error) => parentPort!.postMessage(error));
});
