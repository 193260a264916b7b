/** The script of a worker of a team: browsers. */
import { work } from './worker-loop.js';
import type { WorkerTask } from './worker-task.js';

self.onmessage = ({ data }: MessageEvent<WorkerTask>) => {
  work(data, (error) => self.postMessage(error));
};
