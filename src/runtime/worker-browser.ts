/** The script of a team's worker in browsers. */
import { work } from './worker-loop.js';
import type { WorkerTask } from './worker-task.js';

self.onmessage = ({ data }: MessageEvent<WorkerTask>) => {
  work(data, (error) => self.postMessage(error));
};
