/** What the queue commands share. */

import type { PartQueue, QueueOptions } from '../queue/part-queue.js';
import { redisAddress } from '../queue/redis-address.js';
import { typedRefusal } from '../queue/refusal.js';
import { withLibraries } from './library.js';
import { note } from './report.js';

export const QUEUE_OPTION = {
  type: 'string',
  valueHint: 'NAME',
  required: true,
  description: 'Name of the queue; each list has its own',
} as const;

export const REDIS_OPTION = {
  type: 'string',
  valueHint: 'URL',
  description: 'Address of Redis or Valkey (default: REDIS_URL, or redis://127.0.0.1:6379)',
} as const;

const PACKAGES = ['bullmq', 'ioredis'];

/** Loads a module that needs the packages of the queue. @throws UsageError `LIBRARY` */
export function withQueueLibraries<T>(load: () => Promise<T>): Promise<T> {
  return withLibraries('queue', PACKAGES, load);
}

/**
 * Opens a queue for `use`, then closes it.
 *
 * @throws like `openQueue`, `redisAddress` and `use`; UsageError `LIBRARY`, `QUEUE_OTHER`
 */
export async function withQueue<T>(
  name: string,
  redis: string | undefined,
  options: Omit<QueueOptions, 'say'>,
  use: (queue: PartQueue) => Promise<T>,
): Promise<T> {
  const address = redisAddress(redis, process.env);
  const { openQueue } = await withQueueLibraries(() => import('../queue/part-queue.js'));
  const queue = await openQueue(name, address, {
    ...options,
    say: (message) => note(`fqvit: ${message}`),
  });
  try {
    await queue.expectParts();
    return await use(queue);
  } catch (error) {
    throw typedRefusal(error);
  } finally {
    queue.close();
  }
}
