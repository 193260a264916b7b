import type { PartQueue } from './part-queue.js';
import { Spool } from './spool.js';

export interface EnqueueOptions {
  /** Images of a job. */
  readonly jobSize: number;
  /** Classes of an image. */
  readonly top: number;
  readonly onProgress?: (images: number) => void;
}

export interface Enqueued {
  readonly images: number;
  readonly parts: number;
  /** Of the parts, those that were not there before. */
  readonly added: number;
}

/**
 * Puts an image list into a queue: reads it to its end, claims the queue for it, adds what is not there and counts what is. A part that
 * is there stays as it is, done or not; one that was lost or damaged is put in again.
 *
 * @throws UsageError `QUEUE_OTHER` where something else is there, `QUEUE_PARTS`; FqvitError `QUEUE_LOST` where parts are lost meanwhile,
 *   `QUEUE_FACTS`; RuntimeError `REDIS`, `REDIS_EVICTION`; as `Spool.of`
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
