import { UsageError } from '../errors.js';

/** The address of Redis or Valkey. */
export interface RedisAddress {
  /** May contain a password: never in messages. */
  readonly url: string;
  /** Its name in messages. */
  readonly name: string;
}

/** The parts of an address, for the client. */
export interface RedisEndpoint {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly db: number;
  /** 0 for either. */
  readonly family: 0 | 4 | 6;
  readonly tls?: object;
}

const DEFAULT_URL = 'redis://127.0.0.1:6379';

const FAMILIES: ReadonlyMap<string, RedisEndpoint['family']> = new Map([
  ['0', 0],
  ['4', 4],
  ['6', 6],
]);

/**
 * The address from `--redis`, else `REDIS_URL`, else Redis on this machine. Messages repeat only a
 * valid address: in any other, a part that looks like a host may be a password.
 *
 * @throws UsageError `REDIS_URL`, which repeats no part of it
 */
export function redisAddress(given: string | undefined, env: NodeJS.ProcessEnv): RedisAddress {
  const url = given ?? (env.REDIS_URL || DEFAULT_URL);
  try {
    const { host, port } = redisEndpoint(url);
    return { url, name: `Redis at ${host.includes(':') ? `[${host}]` : host}:${port}` };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const where = given === undefined ? 'REDIS_URL' : 'option --redis';
    throw new UsageError(
      'REDIS_URL',
      `${where}: expected redis://HOST:PORT or rediss://HOST:PORT, also with USER:PASSWORD@ before and /DATABASE after, found ${error.message}`,
    );
  }
}

class Fault extends Error {}

/** Parses an address that `redisAddress` has accepted. */
export function redisEndpoint(text: string): RedisEndpoint {
  const scheme = /^([a-z][a-z\d+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  if (/[\s\p{Cc}]/u.test(text)) throw new Fault('white space or control characters in it');
  if (scheme === 'unix' || scheme === 'redis+unix' || scheme === 'redis+socket' || text.startsWith('/')) {
    throw new Fault('the path of a socket, which fqvit does not take');
  }
  if (scheme?.startsWith('redis-sentinel') || scheme?.startsWith('redis+sentinel')) {
    throw new Fault('a sentinel, which fqvit does not take');
  }
  if (!/^(redis|valkey)s?:\/\//i.test(text)) throw new Fault('something else');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // in a password, "/", "?" and "#" would end the host; "@" and ":" would not
  if (url === undefined)
    throw new Fault('a host or port that is none, or "/", "?" or "#" in the password (%2F, %3F, %23)');
  if (url.hostname === '') throw new Fault('something else');
  if (!/^([a-z\d_-]+(\.[a-z\d_-]+)*\.?|\[[\da-f:.]+\])$/i.test(url.hostname)) {
    throw new Fault('a host with other characters than letters, digits, ".", "-" and "_"');
  }
  if (url.port === '0') throw new Fault('port 0');
  if (url.hash !== '') throw new Fault('"#" in it (%23)');
  const database = /^\/?(\d{0,9})$/.exec(url.pathname)?.[1];
  if (database === undefined)
    throw new Fault('a database that is no number from 0 to 999999999, or "/" in the password (%2F)');
  const family = familyOf(url.searchParams);
  const [username, password] = [decoded(url.username), decoded(url.password)];
  if (username !== '' && password === '')
    throw new Fault('a user without a password (a password alone is :PASSWORD@)');
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: Number(url.port || 6379),
    ...(username === '' ? {} : { username }),
    ...(password === '' ? {} : { password }),
    db: Number(database),
    family,
    ...(scheme === 'rediss' || scheme === 'valkeys' ? { tls: {} } : {}),
  };
}

/** The only parameter: `?family=6`. */
function familyOf(parameters: URLSearchParams): RedisEndpoint['family'] {
  const [first, ...others] = [...parameters];
  if (first === undefined) return 0;
  const family = others.length === 0 && first[0] === 'family' ? FAMILIES.get(first[1]) : undefined;
  if (family === undefined) {
    throw new Fault('another parameter after "?" than family=0, 4 or 6, or "?" in the password (%3F)');
  }
  return family;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Fault('a user or password with "%" and no two hexadecimal digits after it (%25)');
  }
}
