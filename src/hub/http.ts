/** One GET request to the hub: redirects, the token, time limits and the meaning of a status. */

import { request } from '#platform/fetch';
import { FqvitError, HubError } from '../errors.js';
import { shownSource } from '../platform/address.js';
import { Watch } from '../platform/watch.js';
import { formatValue } from '../text/format-value.js';
import type { HubId } from './id.js';
import { PassingError, type Persistence } from './persist.js';
import type { Token } from './settings.js';

/** How to talk to the hub about one model. */
export interface HubConnection extends Persistence {
  readonly id: HubId;
  readonly endpoint: string;
  readonly token: Token | undefined;
  /** Time limit for an answer and for each further part of it. */
  readonly timeoutMs: number;
}

export interface HubResponse {
  readonly status: number;
  readonly headers: Headers;
  /** The body as it arrives. The caller must read it or call `discard`. */
  parts(): AsyncGenerator<Uint8Array>;
  discard(): void;
}

/** The hub redirects to its storage; a renamed model adds a second redirect. */
const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * @param what name of the resource in messages
 * @returns an answer with status 2xx or 416
 * @throws HubError `HUB_NOT_FOUND`, `HUB_GATED`, `HUB_TOKEN`, `HUB_ANSWER`; PassingError
 *   `HUB_NETWORK`, `HUB_RATE`; the reason of the connection's signal
 */
export async function get(
  url: string,
  headers: Readonly<Record<string, string>>,
  what: string,
  connection: HubConnection,
): Promise<HubResponse> {
  connection.signal?.throwIfAborted();
  const watch = new Watch(connection.signal, connection.timeoutMs);
  try {
    const response = await follow(new URL(url), headers, what, connection, watch);
    return {
      status: response.status,
      headers: response.headers,
      parts: () => readParts(response, what, connection, watch),
      discard: () => watch.end(),
    };
  } catch (cause) {
    watch.end();
    throw interpreted(cause, what, connection, watch);
  }
}

async function follow(
  start: URL,
  headers: Readonly<Record<string, string>>,
  what: string,
  connection: HubConnection,
  watch: Watch,
): Promise<Response> {
  const hub = new URL(connection.endpoint).origin;
  let url = start;
  for (let redirects = 0; ; redirects++) {
    const atHub = url.origin === hub;
    const { token } = connection;
    // Only the hub gets the token, never the target of a redirect.
    const authorization = atHub && token ? { authorization: `Bearer ${token.value}` } : {};
    const response = await watch.within(
      request(url, { headers: { ...headers, ...authorization }, redirect: 'manual', signal: watch.signal }),
    );
    const location = REDIRECTS.has(response.status) ? response.headers.get('location') : null;
    if (location === null) {
      checkStatus(response, atHub, what, connection);
      return response;
    }
    if (redirects === MAX_REDIRECTS) {
      throw new HubError('HUB_ANSWER', `${what}: expected at most ${MAX_REDIRECTS} redirects, found more`);
    }
    await response.body?.cancel();
    url = redirected(url, location, what);
  }
}

function redirected(from: URL, location: string, what: string): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  // never from https to http
  const secure = to?.protocol === 'https:' || to?.protocol === from.protocol;
  if (to && secure && to.username === '' && to.password === '') return to;
  throw new HubError(
    'HUB_ANSWER',
    `${what}: expected a redirect to ${from.protocol}//, found ${to ? formatValue(shownSource(to)) : 'something else'}`,
  );
}

function checkStatus(response: Response, atHub: boolean, what: string, connection: HubConnection): void {
  const { status, headers } = response;
  if (response.ok || status === 416) return;
  if (status === 429) {
    const afterMs = retryAfter(headers.get('retry-after'));
    const again = afterMs === undefined ? '' : `; it asks to wait ${Math.ceil(afterMs / 1000)} s`;
    throw new PassingError('HUB_RATE', `${what}: expected an answer, found too many requests (429)${again}`, {
      afterMs,
    });
  }
  // Addresses in the hub's storage expire: the next attempt asks for a new one.
  if (!atHub || status === 408 || status >= 500) {
    const where = atHub ? '' : " of the hub's storage";
    throw new PassingError('HUB_NETWORK', `${what}: expected an answer, found status ${status}${where}`, {
      afterMs: retryAfter(headers.get('retry-after')),
    });
  }
  throw refusal(status, headers.get('x-error-code'), what, connection);
}

/** What a status means. The hub's own text may repeat a token, so it is not shown. */
function refusal(status: number, error: string | null, what: string, connection: HubConnection): HubError {
  const { id, endpoint, token } = connection;
  if (error === 'RepoNotFound' && token) {
    return notFound(
      `${id.name}: expected a model on ${endpoint}, found none that the token of ${token.from} may read`,
    );
  }
  if (error === 'GatedRepo' || status === 403) {
    const page = `${endpoint}/${id.name}`;
    const how = token
      ? `accept its terms at ${page} with the account of the token of ${token.from}`
      : `accept its terms at ${page} and give a token in HF_TOKEN`;
    return new HubError(
      'HUB_GATED',
      `${what}: expected a model open to you, found a gated one (${status}); ${how}`,
    );
  }
  if (status === 401 && token) {
    return new HubError(
      'HUB_TOKEN',
      `${token.from}: expected a token that ${endpoint} accepts, found one that it refuses`,
    );
  }
  if (status === 401) {
    return notFound(
      `${id.name}: expected a public model on ${endpoint}, found status 401: it is private, gated or not there; ` +
        'a token in HF_TOKEN opens those of your account',
    );
  }
  if (error === 'RevisionNotFound') {
    return notFound(`${id.name}: expected the revision ${formatValue(id.revision)}, found none of that name`);
  }
  if (error === 'EntryNotFound') return notFound(`${what}: expected the file, found none of that name`);
  if (status === 404) return notFound(`${id.name}: expected a model on ${endpoint}, found none of that name`);
  return new HubError('HUB_ANSWER', `${what}: expected status 200, found ${status}`);
}

function notFound(message: string): HubError {
  return new HubError('HUB_NOT_FOUND', message);
}

/** `retry-after`, which is in seconds or a date, in milliseconds from now. */
function retryAfter(text: string | null): number | undefined {
  if (text === null) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}

async function* readParts(
  response: Response,
  what: string,
  connection: HubConnection,
  watch: Watch,
): AsyncGenerator<Uint8Array> {
  try {
    if (response.body === null) return;
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await watch.part(reader.read());
      if (done) return;
      yield value;
    }
  } catch (cause) {
    throw interpreted(cause, what, connection, watch);
  } finally {
    watch.end();
  }
}

function interpreted(cause: unknown, what: string, connection: HubConnection, watch: Watch): unknown {
  if (cause instanceof FqvitError) return cause;
  if (connection.signal?.aborted) return connection.signal.reason;
  const message = `${what}: expected an answer of ${connection.endpoint}, found ${watch.reason(cause)}`;
  return new PassingError('HUB_NETWORK', message, { cause });
}
