import type { Redis } from 'ioredis';
import { RuntimeError } from '../errors.js';
import { isRefusal } from './refusal.js';

/**
 * What Redis drops when its memory is full; undefined if unknown. A managed service may forbid
 * CONFIG but allow INFO.
 */
export async function evictionPolicy(client: Redis): Promise<string | undefined> {
  const ask = async <T>(answer: Promise<T>): Promise<T | undefined> =>
    answer.catch((error: unknown) => {
      if (isRefusal(error)) return undefined;
      throw error;
    });
  const config = await ask(client.config('GET', 'maxmemory-policy') as Promise<unknown>);
  if (Array.isArray(config) && typeof config[1] === 'string') return config[1];
  const info = await ask(client.info('memory'));
  return /^maxmemory_policy:([\w-]+)/m.exec(String(info))?.[1];
}

/**
 * Refuses a Redis that may drop jobs: with `maxmemory`, which can be set at any time, it drops them
 * silently.
 *
 * @returns whether Redis states its policy
 * @throws RuntimeError `REDIS_EVICTION`
 */
export async function expectNoEviction(client: Redis): Promise<boolean> {
  const policy = await evictionPolicy(client);
  if (policy === undefined || policy === 'noeviction') return policy !== undefined;
  throw new RuntimeError(
    'REDIS_EVICTION',
    `Redis: expected maxmemory-policy noeviction, found ${policy.slice(0, 40)}, which drops jobs when memory is full; \`CONFIG SET maxmemory-policy noeviction\` and the same in its configuration`,
  );
}
