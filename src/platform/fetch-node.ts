import type { Dispatcher } from 'undici';
import { FqvitError, UsageError } from '../errors.js';
import { type HttpProxy, proxyFor, proxyVariable } from './proxy.js';
import { reasonOf } from './watch.js';

/**
 * `fetch` through the environment's proxies: the `fetch` of Deno and Bun uses them, Node's does
 * not.
 *
 * @throws UsageError `PROXY`; otherwise as `fetch`
 */
export async function request(url: string | URL, init: RequestInit): Promise<Response> {
  const { env, versions } = process;
  const isNode = versions.bun === undefined && !('Deno' in globalThis);
  if (!isNode || !namesProxy(env)) return fetch(url, init);
  const proxy = proxyFor(new URL(url), env);
  const undici = await library(proxy);
  if (undici === undefined) return fetch(url, init);
  dispatcher ??= byOrigin(undici);
  try {
    const answer = await undici.fetch(url, { ...init, dispatcher } as import('undici').RequestInit);
    return answer as unknown as Response;
  } catch (cause) {
    const { cause: inner } = cause as { cause?: Error };
    if (inner instanceof FqvitError) throw inner; // from a redirect
    if (init.signal?.aborted || proxy === undefined) throw cause;
    const code = `${proxyStatus(inner) ?? reasonOf(cause)} through the proxy of ${proxy.variable}`;
    throw Object.assign(new TypeError('fetch failed', { cause }), { code });
  }
}

type Undici = Pick<typeof import('undici'), 'Agent' | 'Dispatcher' | 'ProxyAgent' | 'fetch'>;

let dispatcher: Dispatcher | undefined;

/** The status of a proxy's refusal, from undici's message. */
function proxyStatus(error: Error | undefined): string | undefined {
  const told = (error?.cause as Error | undefined)?.message ?? error?.message ?? '';
  const status = /^Proxy .*\((\d{3})\)/.exec(told)?.[1];
  return status && `status ${status}`;
}

/** Whether the environment names a proxy; false if it may not be read. */
function namesProxy(env: NodeJS.ProcessEnv): boolean {
  try {
    return proxyVariable(env) !== undefined;
  } catch {
    return false;
  }
}

/** @returns undefined if undici is missing and no proxy needs it */
async function library(proxy: HttpProxy | undefined): Promise<Undici | undefined> {
  try {
    return await import('undici');
  } catch (cause) {
    if (proxy === undefined) return undefined;
    throw new UsageError(
      'PROXY',
      `${proxy.variable}: expected the package undici, which takes requests through a proxy, found none; \`npm install undici\`, or unset ${proxy.variable}`,
      { cause },
    );
  }
}

/** Chooses the proxy for each request, including redirects, by its address. */
function byOrigin({ Agent, Dispatcher, ProxyAgent }: Undici): Dispatcher {
  const agents = new Map<string, Dispatcher>();
  const agentOf = (proxy: HttpProxy | undefined): Dispatcher => {
    const key = JSON.stringify([proxy?.url, proxy?.authorization]);
    const known = agents.get(key);
    if (known !== undefined) return known;
    const token = proxy?.authorization === undefined ? {} : { token: proxy.authorization };
    // proxies expect a tunnel only for https
    const agent =
      proxy === undefined ? new Agent() : new ProxyAgent({ uri: proxy.url, proxyTunnel: false, ...token });
    agents.set(key, agent);
    return agent;
  };
  class ByOrigin extends Dispatcher {
    override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandlers): boolean {
      return agentOf(proxyFor(new URL(String(options.origin)), process.env)).dispatch(options, handler);
    }
  }
  return new ByOrigin();
}
