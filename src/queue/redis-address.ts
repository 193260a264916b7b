import { UsageError } from '../errors.js';

/** Where Redis or Valkey listens. */
export interface RedisAddress {
  /** May hold a password: not for messages. */
  readonly url: string;
  /** How messages name it. */
  readonly name: string;
}

const DEFAULT_URL = 'redis://127.0.0.1:6379';

/**
 * The address that `--redis` gives, else `REDIS_URL`, else Redis on this machine.
 *
 * @throws UsageError `REDIS_URL`, which does not repeat it
 */
export function redisAddress(given: string | undefined, env: NodeJS.ProcessEnv): RedisAddress {
  const text = given ?? (env.REDIS_URL || DEFAULT_URL);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^rediss?:$/.test(url.protocol) || url.hostname === '') {
    const where = given === undefined ? 'REDIS_URL' : 'option --redis';
    throw new UsageError(
      'REDIS_URL',
      `${where}: expected redis://HOST:PORT or rediss://HOST:PORT, found something else`,
    );
  }
  return { url: text, name: `Redis at ${url.hostname}:${url.port || 6379}` };
}
