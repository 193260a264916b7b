import { lookup } from 'node:dns';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Problem } from './problem.js';

const MAX_REDIRECTS = 3;

/** Addresses that are not for the public: of this machine, of its networks, and of what stands for others (RFC 6890 and its registries). */
const PRIVATE = new BlockList();
for (const [net, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const) {
  PRIVATE.addSubnet(net, prefix, 'ipv4');
}

/** Of IPv6 only what is handed out to the public counts, less what carries an IPv4 address or is for examples. */
const PUBLIC_6 = new BlockList();
PUBLIC_6.addSubnet('2000::', 3, 'ipv6');
for (const [net, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
] as const) {
  PRIVATE.addSubnet(net, prefix, 'ipv6');
}

export function isPublic(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !PRIVATE.check(address, 'ipv4');
    case 6:
      return PUBLIC_6.check(address, 'ipv6') && !PRIVATE.check(address, 'ipv6');
    default:
      return false;
  }
}

interface Limits {
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * The bytes at an address that a client names. Whatever the name resolves to is checked, and the connection goes to the very address that
 * was; redirections are followed in the same way.
 *
 * @throws Problem 403 `URL_PRIVATE`, 422 `URL_ANSWER`, `URL_TOO_LARGE`; the reason of `signal`
 */
export async function fetchImage(
  url: URL,
  { maxBytes, signal }: Limits,
  isAllowed = isPublic,
): Promise<Uint8Array> {
  let at = url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await request(at, signal, isAllowed);
    const { statusCode = 0, headers } = answer;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      answer.destroy();
      at = redirected(headers.location, at);
      continue;
    }
    if (statusCode !== 200) {
      answer.destroy();
      throw unanswered(`status ${statusCode}`);
    }
    return collect(answer, maxBytes, signal);
  }
  throw unanswered(`more than ${MAX_REDIRECTS} redirections`);
}

function redirected(location: string, from: URL): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (to !== undefined && /^https?:$/.test(to.protocol)) return to;
  throw unanswered('a redirection to no address of http');
}

function request(url: URL, signal: AbortSignal, isAllowed: typeof isPublic): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && !isAllowed(host)) throw isPrivate();
  const get = url.protocol === 'https:' ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const asking = get(url, { lookup: checkedLookup(isAllowed), signal, agent: false }, resolve);
    asking.on('error', (error) => {
      if (signal.aborted) reject(signal.reason);
      else reject(error instanceof Problem ? error : unanswered('no answer'));
    });
    asking.on('close', () => reject(unanswered('no answer'))); // what switches to another protocol ends without an error
  });
}

/** `dns.lookup`, all of whose answers have to be allowed. */
function checkedLookup(isAllowed: typeof isPublic): LookupFunction {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) callback(error, '', 4);
      else if (!addresses.every(({ address }) => isAllowed(address))) callback(isPrivate() as never, '', 4);
      else if (options.all) callback(null, addresses);
      else callback(null, addresses[0]!.address, addresses[0]!.family);
    });
  };
}

async function collect(answer: IncomingMessage, maxBytes: number, signal: AbortSignal): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of answer as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > maxBytes)
        throw new Problem(422, 'URL_TOO_LARGE', `url: expected at most ${maxBytes} bytes, found more`);
      parts.push(part);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof Problem ? error : unanswered('a part of its body');
  }
  return Buffer.concat(parts);
}

function isPrivate(): Problem {
  return new Problem(403, 'URL_PRIVATE', 'url: expected a public address, found one that is not');
}

/** Says no more than whether there is an image: a client shall not map a network by our answers. */
function unanswered(found: string): Problem {
  return new Problem(422, 'URL_ANSWER', `url: expected an image, found ${found}`);
}
