import { Redis } from 'ioredis';
import { RuntimeError } from '../errors.js';
import { systemReason } from '../platform/system-reason.js';
import { type RedisAddress, redisEndpoint } from './redis-address.js';
import { isRefusal, redisReply } from './refusal.js';

export interface ConnectOptions {
  /** Whether to wait for a Redis that does not answer yet. */
  readonly isPatient: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called when the connection is missing, lost or restored. */
  readonly say: (message: string) => void;
}

export interface RedisConnection {
  readonly client: Redis;
  /** Closes it and its duplicates for good. */
  close(): void;
}

const LONGEST_PAUSE_MS = 2000;

/** Time to connect, and then until Redis takes commands. */
const READY_MS = 4000;

/** Time for a reply: longer than BullMQ makes Redis wait for a job (10 s). */
const SILENCE_MS = 30_000;

/**
 * A connection that reconnects by itself. Commands wait meanwhile.
 *
 * @throws RuntimeError `REDIS` without a server, or if it is not ready within 4 s, refuses the
 *   login or is not Redis; the reason of `signal`
 */
export async function connectRedis(
  { url, name }: RedisAddress,
  { isPatient, signal, say }: ConnectOptions,
): Promise<RedisConnection> {
  let isClosed = false;
  const endpoint = redisEndpoint(url);
  const client = new Redis({
    ...endpoint,
    connectTimeout: READY_MS,
    socketTimeout: SILENCE_MS,
    maxRetriesPerRequest: null,
    ...(isPatient ? {} : { commandTimeout: SILENCE_MS }),
    retryStrategy: (attempt) => (isClosed ? null : Math.min(100 * 2 ** attempt, LONGEST_PAUSE_MS)),
  });
  // an error without a listener would end the process, and one reply may have several
  client.on('error', () => {});
  try {
    await firstReady(client, endpoint.password, name, isPatient, say, signal);
  } catch (error) {
    client.disconnect();
    throw error;
  }
  tellAbsence(client, name, say);
  const close = () => {
    isClosed = true;
    client.disconnect();
  };
  return { client, close };
}

function firstReady(
  client: Redis,
  password: string | undefined,
  name: string,
  isPatient: boolean,
  say: ConnectOptions['say'],
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let isWaiting = false;
    let waiting: NodeJS.Timeout | undefined;
    const connected = () => {
      clearTimeout(waiting);
      waiting = setTimeout(late, READY_MS);
    };
    const late = () => {
      failed(Object.assign(new Error('late'), { code: 'ETIMEDOUT' }));
      if (isPatient) client.disconnect(true);
    };
    const failed = (error: NodeJS.ErrnoException) => {
      clearTimeout(waiting);
      const isAway = error.code !== undefined;
      if (!isAway || !isPatient) {
        const [expected, found] = isAway
          ? ['a connection', systemReason(error)]
          : isRefusal(error)
            ? ['to be let in', redisReply(error, password)]
            : ['the replies of Redis', 'others'];
        settle(() => reject(new RuntimeError('REDIS', `${name}: expected ${expected}, found ${found}`)));
        return;
      }
      if (!isWaiting) say(`${name} is not there (${systemReason(error)}): waiting for it`);
      isWaiting = true;
    };
    const closed = () => failed(Object.assign(new Error('close'), { code: 'ECONNRESET' }));
    const ended = () => failed(new Error('its end'));
    const aborted = () => settle(() => reject(signal!.reason));
    const ready = () => settle(resolve);
    const settle = (then: () => void) => {
      clearTimeout(waiting);
      client.off('connect', connected).off('close', closed);
      client.off('error', failed).off('ready', ready).off('end', ended);
      signal?.removeEventListener('abort', aborted);
      then();
    };
    client.on('connect', connected).on('close', closed);
    client.on('error', failed).on('ready', ready).on('end', ended);
    signal?.addEventListener('abort', aborted);
    if (signal?.aborted) aborted();
  });
}

/** Reports a lost connection, and again every 30 s until it is restored. */
function tellAbsence(client: Redis, name: string, say: ConnectOptions['say']): void {
  let isAway = false;
  let last = 0;
  client.on('reconnecting', () => {
    if (!isAway || performance.now() - last >= SILENCE_MS) {
      say(`${name} is ${isAway ? 'still ' : ''}away: waiting for it`);
      last = performance.now();
    }
    isAway = true;
  });
  client.on('ready', () => {
    if (isAway) say(`${name} is there again`);
    isAway = false;
  });
}
