import { type Job, type JobsOptions, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { FqvitError, UsageError } from '../errors.js';
import { expectNoEviction } from './eviction.js';
import { countStates, type Inspection, inspect, LISTS, SETS } from './inspection.js';
import { claimOf, type StoredList, storedList } from './list-facts.js';
import { missingParts, type PartOutput } from './output.js';
import { isPartName, type ListFacts, type PartData, type PartResult, partName, partNumber } from './part.js';
import { type ConnectOptions, connectRedis, type RedisConnection } from './redis.js';
import type { RedisAddress } from './redis-address.js';
import { isRefusal } from './refusal.js';

/** Facts about the image list and its results, in addition to the jobs. */
interface Facts {
  /** SHA-256 of the model that computes the parts. */
  model: string;
  /** The claim of a list on the queue (`claimOf`). */
  list: string;
  /** Known once the whole list is in the queue. */
  parts: string;
  images: string;
}

export interface QueueStatus {
  readonly queue: string;
  /** Whether the whole list is in the queue. */
  readonly isListed: boolean;
  /** Parts of the list in the queue. */
  readonly parts: number;
  /** Parts of the list that are missing or damaged: still to come, or lost. */
  readonly missing: number;
  readonly waiting: number;
  readonly active: number;
  readonly done: number;
  readonly failed: number;
  /** The reasons of some failures. */
  readonly failures: readonly { readonly part: string; readonly reason: string }[];
}

/** The progress of a queue, cheap enough to poll. */
export interface QueueProgress {
  readonly list: StoredList | undefined;
  /** Jobs in the queue, in any state. */
  readonly stored: number;
  /** Jobs that are neither done nor failed. */
  readonly left: number;
}

export interface QueueOptions extends ConnectOptions {
  /** Accepts a Redis that may drop jobs, for callers that only remove things. */
  readonly mayEvict?: boolean;
}

const SHOWN_FAILURES = 5;

/** After this many tries a job fails for good. A bad image is part of a result, not a failure. */
const JOB: JobsOptions = { attempts: 3, backoff: { type: 'exponential', delay: 1000 }, stackTraceLimit: 0 };

/**
 * Opens a queue, which may be empty.
 *
 * @throws UsageError `QUEUE_NAME`; RuntimeError `REDIS_EVICTION`; like `connectRedis`
 */
export async function openQueue(
  name: string,
  address: RedisAddress,
  { mayEvict = false, ...options }: QueueOptions,
): Promise<PartQueue> {
  if (!/^[\w.-]{1,100}$/.test(name)) {
    throw new UsageError(
      'QUEUE_NAME',
      'queue: expected a name of letters, digits, ".", "_", "-", found another',
    );
  }
  const connection = await connectRedis(address, options);
  try {
    if (!mayEvict && !(await expectNoEviction(connection.client))) {
      options.say(
        `warning: ${address.name} does not tell its maxmemory-policy: with any but noeviction it may drop jobs`,
      );
    }
  } catch (error) {
    connection.close();
    throw error;
  }
  const jobs = new Queue<PartData, PartResult>(name, {
    connection: connection.client,
    skipMetasUpdate: true, // looking at a queue writes nothing
  });
  jobs.on('error', () => {}); // the connection reports errors itself
  return new PartQueue(name, connection, jobs);
}

/** The parts of an image list as BullMQ jobs, and the facts that all workers must agree on. */
export class PartQueue {
  readonly client: Redis;
  readonly #facts: string;
  readonly #prefix: string;

  constructor(
    readonly name: string,
    private readonly connection: RedisConnection,
    private readonly jobs: Queue<PartData, PartResult>,
  ) {
    this.client = connection.client;
    this.#facts = jobs.toKey('fqvit');
    this.#prefix = jobs.toKey('');
  }

  /**
   * @throws UsageError `QUEUE_OTHER` if another program's jobs are in it, which we may neither do
   *   nor remove
   */
  async expectParts(): Promise<void> {
    if ((await this.#inspect(0)).foreign > 0) this.expectPart(undefined);
  }

  /** @throws UsageError `QUEUE_OTHER` */
  expectPart(id: string | undefined): asserts id is string {
    if (isPartName(id)) return;
    const message = `queue ${this.name}: expected parts of fqvit, found a job of another program`;
    throw new UsageError('QUEUE_OTHER', message);
  }

  /** @throws RuntimeError `REDIS_EVICTION` */
  async expectNoEviction(): Promise<void> {
    await expectNoEviction(this.client);
  }

  /**
   * Writes a fact unless it is known.
   *
   * @throws UsageError `QUEUE_OTHER` if the fact has another value
   */
  async agree(fact: keyof Facts, value: string): Promise<void> {
    await this.client.hsetnx(this.#facts, fact, value);
    const found = await this.#fact(fact);
    if (found === value) return;
    throw new UsageError('QUEUE_OTHER', `queue ${this.name}: expected ${fact} ${found}, found ${value}`);
  }

  #fact(name: keyof Facts): Promise<string | null> {
    return this.client.hget(this.#facts, name);
  }

  /** The list in the queue, or with a claim on it. @throws FqvitError `QUEUE_FACTS` */
  async list(): Promise<StoredList | undefined> {
    return storedList(this.name, await this.client.hgetall(this.#facts));
  }

  /**
   * Claims the queue for a list, before any part is added.
   *
   * @param batches its parts, for a queue with jobs and no claim
   * @throws UsageError `QUEUE_OTHER` if another list has it; FqvitError `QUEUE_FACTS`
   */
  async claim(list: Required<ListFacts>, batches: () => AsyncIterable<readonly PartData[]>): Promise<void> {
    if ((await this.#fact('list')) === claimOf(list)) return;
    const stored = await this.list();
    if (stored?.sha256 === undefined) {
      if (stored && (stored.parts !== list.parts || stored.images !== list.images)) {
        throw this.#other(stored, list);
      }
      await this.#expectSameJobs(list.parts, batches());
      await this.client.hsetnx(this.#facts, 'list', claimOf(list));
    }
    await this.expectClaim(list);
  }

  /**
   * @throws UsageError `QUEUE_OTHER` if another list has the queue; FqvitError `QUEUE_LOST` if none
   *   has
   */
  async expectClaim(list: Required<ListFacts>): Promise<void> {
    if ((await this.#fact('list')) === claimOf(list)) return;
    const stored = await this.list();
    throw stored ? this.#other(stored, list) : this.lost('its list', 'none any more');
  }

  #other(stored: ListFacts, found: ListFacts): UsageError {
    const shown = ({ parts, images, sha256 }: ListFacts) =>
      `${images} images in ${parts} parts${sha256 ? ` (SHA-256 ${sha256.slice(0, 8)}…)` : ''}`;
    return new UsageError(
      'QUEUE_OTHER',
      `queue ${this.name}: expected its list of ${shown(stored)}, found one of ${shown(found)}; another list, --job-size or --top needs another queue`,
    );
  }

  /** Checks jobs that precede any claim on the queue. @throws UsageError `QUEUE_OTHER` */
  async #expectSameJobs(parts: number, batches: AsyncIterable<readonly PartData[]>): Promise<void> {
    const { states, others, other } = await this.#inspect(parts);
    const refuse = (id: string | undefined) => {
      const message = `queue ${this.name}: expected ${id} as it is there already, found another; another list, --job-size or --top needs another queue`;
      throw new UsageError('QUEUE_OTHER', message);
    };
    if (others !== '') refuse(other);
    if (!/[wacf]/.test(states)) return;
    let number = 0;
    for await (const batch of batches) {
      const known = await this.#dataOf(batch.map((_, i) => partName(number + i)));
      for (const [i, data] of batch.entries()) {
        const isThere = /[wacf]/.test(states[number]!);
        if (isThere && known[i] !== JSON.stringify(data)) refuse(partName(number));
        number++;
      }
    }
  }

  #dataOf(ids: readonly string[]): Promise<(string | null)[]> {
    return Promise.all(ids.map((id) => this.client.hget(this.jobs.toKey(id), 'data')));
  }

  /** @throws FqvitError `QUEUE_FACTS`; ReplyError */
  #inspect(parts: number): Promise<Inspection> {
    return inspect(this.client, this.#prefix, parts);
  }

  /** The state of each part of a list. */
  async states(list: ListFacts): Promise<string> {
    return (await this.#inspect(list.parts)).states;
  }

  /**
   * Like `states`, before missing parts are added: a list that counts as complete but is not loses
   * that mark until it is repaired.
   */
  async reopen(list: Required<ListFacts>): Promise<string> {
    const [parts, images] = await this.client.hmget(this.#facts, 'parts', 'images');
    const states = await this.states(list);
    const isWhole = parts === String(list.parts) && images === String(list.images);
    if (parts !== null && !(isWhole && /^[wacf]*$/.test(states))) {
      await this.client.hdel(this.#facts, 'parts', 'images');
    }
    return states;
  }

  /**
   * Marks the list as complete, after counting all of its parts.
   *
   * @throws FqvitError `QUEUE_LOST` if some are missing; UsageError `QUEUE_OTHER`; RuntimeError
   *   `REDIS_EVICTION`
   */
  async seal(list: Required<ListFacts>): Promise<void> {
    const { states, others, other } = await this.#inspect(list.parts);
    const found = countStates(states, 'w', 'a', 'c', 'f');
    if (found !== list.parts) throw this.lost(`${list.parts} parts`, `${found}`);
    if (others !== '') {
      const message = `queue ${this.name}: expected the parts of this list alone, found ${other}`;
      throw new UsageError('QUEUE_OTHER', message);
    }
    await this.agree('images', String(list.images));
    await this.agree('parts', String(list.parts));
    await this.expectClaim(list);
    await this.expectNoEviction();
  }

  /** The error for parts that Redis has lost. */
  lost(expected: string, found: string): FqvitError {
    return new FqvitError(
      'QUEUE_LOST',
      `queue ${this.name}: expected ${expected}, found ${found}; enqueue the list again to repair it`,
    );
  }

  /**
   * Adds the parts from number `start` on, except existing ones, done or not. Replaces damaged
   * ones.
   *
   * @param states of all parts, taken just before
   * @returns how many were added
   * @throws like `expectClaim`
   */
  async add(
    list: Required<ListFacts>,
    start: number,
    parts: readonly PartData[],
    states: string,
  ): Promise<number> {
    const ids = parts.map((_, i) => partName(start + i));
    const [known] = await Promise.all([this.#dataOf(ids), this.expectClaim(list)]);
    const missing = [];
    for (const [i, id] of ids.entries()) {
      const isDamaged = states[start + i] === '!';
      if (known[i] === JSON.stringify(parts[i]) && !isDamaged) continue;
      if (known[i] !== null || isDamaged) await this.#discard(id);
      missing.push({ name: 'part', data: parts[i]!, opts: { ...JOB, jobId: id } });
    }
    await this.#addAll(missing);
    return missing.length;
  }

  /** Repeats after a lost connection: added jobs are known by their id. */
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

  /** Removes the remains of a job. A worker that has it cannot finish it. */
  async #discard(id: string): Promise<void> {
    const key = this.jobs.toKey(id);
    const transaction = this.client.multi();
    for (const list of LISTS) transaction.lrem(this.jobs.toKey(list), 0, id);
    for (const set of SETS) transaction.zrem(this.jobs.toKey(set), id);
    await all(transaction.del(key, `${key}:lock`));
  }

  /**
   * Fails active jobs that are not JSON: no worker can read them, and BullMQ would retry for
   * minutes.
   */
  async failUnreadable(): Promise<void> {
    for (const id of await this.client.lrange(this.jobs.toKey('active'), 0, -1)) {
      const failedReason = await this.#job(id).then(
        () => undefined,
        (error: unknown) => (error as Error).message,
      );
      if (failedReason === undefined) continue;
      const key = this.jobs.toKey(id);
      const transaction = this.client.multi().lrem(this.jobs.toKey('active'), 0, id).del(`${key}:lock`);
      // unreadable jobs count as damaged, so that enqueueing the list repairs them
      transaction.hset(key, { data: 'null', opts: '{}', failedReason });
      await all(transaction.zadd(this.jobs.toKey('failed'), String(Date.now()), id));
    }
  }

  /** @throws FqvitError `QUEUE_JOB` for one that is not JSON */
  async #job(id: string): Promise<Job<PartData, PartResult> | undefined> {
    try {
      return await this.jobs.getJob(id);
    } catch (cause) {
      if (!isUnreadable(cause)) throw cause;
      const message = 'job: expected JSON, found other text; enqueue the list again to repair it';
      throw new FqvitError('QUEUE_JOB', message, { cause });
    }
  }

  async progress(): Promise<QueueProgress> {
    const list = await this.list(); // first, so that no part is added after the count
    const { completed = 0, failed = 0, ...others } = await this.jobs.getJobCounts();
    const left = Object.values(others).reduce((sum, count) => sum + count, 0);
    const stored = left + completed + failed;
    // jobs of a list that was claimed in between
    if (list === undefined && stored > 0 && (await this.list()) !== undefined) return this.progress();
    return { list, stored, left };
  }

  /** @param list taken just before, so that no part is added after the count */
  async status(list: StoredList | undefined): Promise<QueueStatus & Pick<Inspection, 'images'>> {
    const { states, others, images } = await this.#inspect(list?.parts ?? 0);
    const all = states + others;
    const failures = await this.client.zrevrange(this.jobs.toKey('failed'), 0, SHOWN_FAILURES - 1);
    const reasons = await Promise.all(
      failures.map((id) => this.client.hget(this.jobs.toKey(id), 'failedReason')),
    );
    return {
      queue: this.name,
      isListed: list?.isWhole ?? false,
      parts: countStates(all, 'w', 'a', 'c', 'f'),
      missing: countStates(states, '-', '!'),
      waiting: countStates(all, 'w'),
      active: countStates(all, 'a'),
      done: countStates(all, 'c'),
      failed: countStates(all, 'f'),
      failures: failures.map((part, i) => ({ part, reason: reasons[i] ?? 'no reason' })),
      images,
    };
  }

  /** Whether there is a list, or a part of one. */
  async isKnown(): Promise<boolean> {
    const facts = await this.client.hgetall(this.#facts);
    return facts.list !== undefined || facts.parts !== undefined || (await this.#inspect(0)).others !== '';
  }

  /** Queues failed parts again. */
  async retryFailed(): Promise<void> {
    await this.jobs.retryJobs({ state: 'failed' });
  }

  /**
   * Queues parts again that are done but whose files are missing in the output.
   *
   * @throws FqvitError `QUEUE_FACTS`, `QUEUE_JOB`, `OUTPUT`
   */
  async retryMissing(output: PartOutput): Promise<void> {
    const list = await this.list();
    if (list === undefined) return;
    const states = await this.states(list);
    for (const part of await missingParts(this.name, list.parts, output)) {
      if (states[partNumber(part)] === 'c') await (await this.#job(part))?.retry('completed');
    }
  }

  /**
   * Deletes the queue from Redis.
   *
   * @throws FqvitError `QUEUE_BUSY` while workers have parts of it
   */
  async remove(): Promise<void> {
    const active = countStates((await this.#inspect(0)).others, 'a');
    if (active > 0) {
      const message = `queue ${this.name}: expected no worker on it, found ${active} active parts`;
      throw new FqvitError('QUEUE_BUSY', message);
    }
    await this.jobs.obliterate({ force: true });
    // also jobs that no list contains any more, which BullMQ does not find
    for await (const keys of this.client.scanStream({ match: `${this.#prefix}part-*`, count: 1000 })) {
      if (keys.length > 0) await this.client.unlink(keys);
    }
    await this.client.del(this.#facts);
  }

  close(): void {
    this.connection.close();
  }
}

/** The replies of a transaction. @throws the first error among them */
async function all(transaction: ReturnType<Redis['multi']>): Promise<void> {
  for (const [error] of (await transaction.exec()) ?? []) if (error) throw error;
}

/** Whether BullMQ found a job that is not JSON. */
export function isUnreadable(error: unknown): boolean {
  return error instanceof SyntaxError || error instanceof TypeError;
}

function isBroken(error: unknown): boolean {
  return !isRefusal(error) && /connection|socket|ECONN|EPIPE/i.test(String(error));
}
