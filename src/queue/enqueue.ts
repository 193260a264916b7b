import type { PartQueue } from './part-queue.js';
import { Spool } from './spool.js';

export interface EnqueueOptions {
  /** Images per job. */
  readonly jobSize: number;
  /** Classes per image. */
  readonly top: number;
  readonly onProgress?: (images: number) => void;
}

export interface Enqueued {
  readonly images: number;
  readonly parts: number;
  /** Parts that were new. */
  readonly added: number;
}

/**
 * Puts an image list into a queue: reads it to its end, claims the queue, adds missing parts, and
 * counts them all. An existing part stays, done or not; a lost or damaged one is added again.
 *
 * @throws UsageError `QUEUE_OTHER` if the queue holds something else, `QUEUE_PARTS`
 * @throws FqvitError `QUEUE_LOST` if parts are lost meanwhile, `QUEUE_FACTS`
 * @throws RuntimeError `REDIS`, `REDIS_EVICTION`; like `Spool.of`
 */
export async function enqueue(
  queue: PartQueue,
  images: AsyncIterable<string>,
  { jobSize, top, onProgress }: EnqueueOptions,
): Promise<Enqueued> {
  const spool = await Spool.of(images, jobSize, top);
  const { list } = spool;
  try {
    await queue.claim(list, () => spool.batches());
    const states = await queue.reopen(list);
    let [seen, start, added] = [0, 0, 0];
    for await (const parts of spool.batches()) {
      added += await queue.add(list, start, parts, states);
      start += parts.length;
      for (const { files } of parts) seen += files.length;
      onProgress?.(seen);
    }
    await queue.seal(list);
    return { images: list.images, parts: list.parts, added };
  } finally {
    await spool.close();
  }
}
