import type { Redis } from 'ioredis';
import { RuntimeError } from '../errors.js';
import { isRefusal } from './refusal.js';

/**
 * What Redis drops when its memory is full; undefined where it does not say. A managed service may forbid CONFIG and not INFO.
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
 * Refuses a Redis that may drop jobs: with `maxmemory` it would do so silently, and it can be given one at any time.
 *
 * @returns whether Redis says what its policy is
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
