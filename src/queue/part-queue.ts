import { type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { FqvitError, UsageError } from '../errors.js';
import { isPartName, type PartData, type PartResult, partName } from './part.js';
import { type Connection, type ConnectOptions, connectRedis } from './redis.js';
import type { RedisAddress } from './redis-address.js';
import { isRefusal } from './refusal.js';

/** Of the image list and of what is made of it, beside the jobs. */
interface Facts {
  /** SHA-256 of the model whose results are in the parts. */
  model: string;
  /** Known when the whole list is in the queue. */
  parts: string;
  images: string;
}

export interface QueueStatus {
  readonly queue: string;
  /** The whole list is in the queue. */
  readonly isListed: boolean;
  /** Of the list, as far as it is in the queue. */
  readonly parts: number;
  readonly waiting: number;
  readonly active: number;
  readonly done: number;
  readonly failed: number;
  /** Why, of some. */
  readonly failures: readonly { readonly part: string; readonly reason: string }[];
}

const SHOWN_FAILURES = 5;

/** A job fails for good after so many tries; what is wrong with an image is in its record and no failure. */
const JOB: JobsOptions = { attempts: 3, backoff: { type: 'exponential', delay: 1000 }, stackTraceLimit: 0 };

/**
 * Opens a queue, whether there is anything in it or not.
 *
 * @throws UsageError `QUEUE_NAME`; as `connectRedis`
 */
export async function openQueue(
  name: string,
  address: RedisAddress,
  options: ConnectOptions,
): Promise<PartQueue> {
  if (!/^[\w.-]{1,100}$/.test(name)) {
    throw new UsageError(
      'QUEUE_NAME',
      'queue: expected a name of letters, digits, ".", "_", "-", found another',
    );
  }
  const connection = await connectRedis(address, options);
  const jobs = new Queue<PartData, PartResult>(name, {
    connection: connection.client,
    skipMetasUpdate: true, // a look at a queue leaves nothing behind
  });
  jobs.on('error', () => {}); // the connection says it itself
  return new PartQueue(name, connection, jobs);
}

/** The parts of an image list as BullMQ jobs, and the facts that all who work on them must agree on. */
export class PartQueue {
  readonly client: Redis;
  readonly #facts: string;

  constructor(
    readonly name: string,
    private readonly connection: Connection,
    private readonly jobs: Queue<PartData, PartResult>,
  ) {
    this.client = connection.client;
    this.#facts = jobs.toKey('fqvit');
  }

  /** @throws UsageError `QUEUE_OTHER` where another program has jobs in it, which are not ours to do or to remove */
  async expectParts(): Promise<void> {
    for (const job of await this.jobs.getJobs(undefined, 0, 0)) if (job) this.expectPart(job.id);
  }

  /** @throws UsageError `QUEUE_OTHER` */
  expectPart(id: string | undefined): void {
    if (isPartName(id)) return;
    const message = `queue ${this.name}: expected parts of fqvit, found a job of another program`;
    throw new UsageError('QUEUE_OTHER', message);
  }

  /**
   * Writes a fact unless it is known.
   *
   * @throws UsageError `QUEUE_OTHER` where it is known to be something else
   */
  async agree(fact: keyof Facts, value: string): Promise<void> {
    await this.client.hsetnx(this.#facts, fact, value);
    const found = await this.fact(fact);
    if (found === value) return;
    throw new UsageError('QUEUE_OTHER', `queue ${this.name}: expected ${fact} ${found}, found ${value}`);
  }

  fact(name: keyof Facts): Promise<string | null> {
    return this.client.hget(this.#facts, name);
  }

  /** @throws UsageError `QUEUE_OTHER` */
  async agreeOnEnd(parts: number, images: number): Promise<void> {
    await this.agree('parts', String(parts));
    await this.agree('images', String(images));
  }

  /**
   * Adds the parts from number `start` on, but those that are there, whether they are done or not.
   *
   * @returns how many were added
   * @throws UsageError `QUEUE_OTHER` where one is there with other images, and then adds none
   */
  async add(start: number, parts: readonly PartData[]): Promise<number> {
    const ids = parts.map((_, i) => partName(start + i));
    const known = await Promise.all(ids.map((id) => this.client.hget(this.jobs.toKey(id), 'data')));
    const missing = ids.flatMap((id, i) => {
      const data = parts[i]!;
      if (known[i] === null) return [{ name: 'part', data, opts: { ...JOB, jobId: id } }];
      if (known[i] === JSON.stringify(data)) return [];
      throw new UsageError(
        'QUEUE_OTHER',
        `queue ${this.name}: expected ${id} as it is there already, found another; another list, --job-size or --top needs another queue`,
      );
    });
    await this.#addAll(missing);
    return missing.length;
  }

  /** Again where the connection broke: what was added is known by its id. */
  async #addAll(jobs: Parameters<Queue<PartData, PartResult>['addBulk']>[0]): Promise<void> {
    for (;;) {
      try {
        await this.jobs.addBulk(jobs);
        return;
      } catch (error) {
        if (!isBroken(error)) throw error;
        await this.client.ping(); // waits for the connection
      }
    }
  }

  async status(): Promise<QueueStatus> {
    const isListed = (await this.fact('parts')) !== null; // first: then no part comes after the count
    const counts = await this.jobs.getJobCounts();
    const { waiting = 0, delayed = 0, active = 0, completed = 0, failed = 0 } = counts;
    const failures = await this.jobs.getFailed(0, SHOWN_FAILURES - 1);
    return {
      queue: this.name,
      isListed,
      parts: waiting + delayed + active + completed + failed,
      waiting: waiting + delayed,
      active,
      done: completed,
      failed,
      failures: failures.map(({ id, failedReason }) => ({ part: id!, reason: failedReason })),
    };
  }

  /** Whether there is a list, or a part of one. */
  async isKnown(): Promise<boolean> {
    return (await this.fact('parts')) !== null || (await this.status()).parts > 0;
  }

  /** Puts the parts that have failed for good back among those that wait. */
  async retryFailed(): Promise<void> {
    await this.jobs.retryJobs({ state: 'failed' });
  }

  /**
   * Takes all of it out of Redis.
   *
   * @throws FqvitError `QUEUE_BUSY` while workers have parts of it
   */
  async remove(): Promise<void> {
    const { active } = await this.status();
    if (active > 0) {
      const message = `queue ${this.name}: expected no worker on it, found ${active} active parts`;
      throw new FqvitError('QUEUE_BUSY', message);
    }
    await this.jobs.obliterate({ force: true });
    await this.client.del(this.#facts);
  }

  close(): void {
    this.connection.close();
  }
}

function isBroken(error: unknown): boolean {
  return !isRefusal(error) && /connection|socket|ECONN|EPIPE/i.test(String(error));
}
