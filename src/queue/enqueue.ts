import { type PartData, partsOf } from './part.js';
import type { PartQueue } from './part-queue.js';

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

/** Jobs that are prepared at a time. */
const JOBS_AT_ONCE = 20;

/**
 * Puts an image list into a queue. What is there already, of a call that did not come to its end, is not added again.
 *
 * @throws UsageError `QUEUE_OTHER` where something else is there, `QUEUE_PARTS`; RuntimeError `REDIS`; what the list throws
 */
export async function enqueue(
  queue: PartQueue,
  list: AsyncIterable<string>,
  { jobSize, top, onProgress }: EnqueueOptions,
): Promise<Enqueued> {
  let [images, parts, added] = [0, 0, 0];
  let ready: PartData[] = [];
  const add = async () => {
    added += await queue.add(parts, ready);
    parts += ready.length;
    ready = [];
    onProgress?.(images);
  };
  for await (const part of partsOf(list, jobSize, top)) {
    images += part.files.length;
    if (ready.push(part) === JOBS_AT_ONCE) await add();
  }
  if (ready.length > 0) await add();
  await queue.agreeOnEnd(parts, images);
  return { images, parts, added };
}
