/** Reads the proxy variables of the environment as curl and the hub's Python tools do. */

import { BlockList, isIP } from 'node:net';
import { UsageError } from '../errors.js';

export interface HttpProxy {
  /** Without user and password. */
  readonly url: string;
  /** Value of the header `proxy-authorization`. */
  readonly authorization: string | undefined;
  /** The variable that names the proxy, for messages. */
  readonly variable: string;
}

const PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' };

/**
 * The proxy for an address: from `http_proxy` or `https_proxy`, in lower or upper case, unless
 * `no_proxy` contains its host. An empty variable counts as absent.
 *
 * @throws UsageError `PROXY`, without the variable's value, which may contain a password
 */
export function proxyFor({ protocol, hostname, port }: URL, env: NodeJS.ProcessEnv): HttpProxy | undefined {
  if (!(protocol in PORTS)) return undefined;
  const variable = named(`${protocol.slice(0, -1)}_proxy`, env);
  if (variable === undefined) return undefined;
  const host = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  return isExcepted(host, port || PORTS[protocol]!, env) ? undefined : parse(env[variable]!, variable);
}

/** A variable that names a proxy, if any does. */
export function proxyVariable(env: NodeJS.ProcessEnv): string | undefined {
  return named('https_proxy', env) ?? named('http_proxy', env);
}

function named(lower: string, env: NodeJS.ProcessEnv): string | undefined {
  return [lower, lower.toUpperCase()].find((name) => env[name]?.trim());
}

function parse(value: string, variable: string): HttpProxy {
  const text = value.trim();
  const given = /^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const refuse = (found: string): never => {
    throw new UsageError(
      'PROXY',
      `${variable}: expected http://HOST:PORT or https://HOST:PORT, found ${found}`,
    );
  };
  if (url === undefined) return refuse('something else');
  if (/^socks/.test(url.protocol)) return refuse('a SOCKS proxy, which fqvit does not support');
  if (!(url.protocol in PORTS)) return refuse('something else');
  if (url.pathname !== '/' || url.search || url.hash) return refuse('one with a path, "?" or "#"');
  const { username, password } = url;
  if (username === '' && password === '') return { url: url.origin, authorization: undefined, variable };
  try {
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
    return { url: url.origin, authorization, variable };
  } catch {
    return refuse('a user or password with "%" but no two hexadecimal digits after it');
  }
}

/**
 * Whether `no_proxy` contains a host. Commas or spaces separate the entries. Each is a name, which
 * includes its subdomains (also written `.name` or `*.name`), an IP address or a block
 * (`10.0.0.0/8`), optionally with a port; `*` is every host.
 */
function isExcepted(host: string, port: string, env: NodeJS.ProcessEnv): boolean {
  const variable = named('no_proxy', env);
  const entries = variable === undefined ? [] : env[variable]!.toLowerCase().split(/[\s,]+/);
  return entries.some((entry) => {
    if (entry === '' || entry === '*') return entry === '*';
    if (entry.includes('/')) return isInBlock(host, entry, variable!);
    const [, name, only] = /^(.*?|\[.*\])(?::(\d+))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry)!;
    const plain = name!.replace(/^\[|\]$/g, '').replace(/^\*?\./, '');
    if (only !== undefined && only !== port) return false;
    return host === plain || (plain !== '' && isIP(host) === 0 && host.endsWith(`.${plain}`));
  });
}

function isInBlock(host: string, entry: string, variable: string): boolean {
  const [, net = '', prefix = ''] = /^(.*)\/(\d{1,3})$/.exec(entry) ?? [];
  const bits = isIP(net) === 4 ? 32 : 128;
  if (isIP(net) === 0 || prefix === '' || Number(prefix) > bits) {
    throw new UsageError(
      'PROXY',
      `${variable}: expected hosts and blocks such as 10.0.0.0/8, found another entry with a "/"`,
    );
  }
  if (isIP(host) !== isIP(net)) return false;
  const block = new BlockList();
  const family = isIP(net) === 4 ? 'ipv4' : 'ipv6';
  block.addSubnet(net, Number(prefix), family);
  return block.check(host, family);
}
