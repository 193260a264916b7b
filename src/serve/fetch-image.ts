import { lookup } from 'node:dns/promises';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Gate } from './gate.js';
import type { FetchLimits } from './options.js';
import { Pace } from './pace.js';
import { Problem } from './problem.js';

const MAX_REDIRECTS = 3;

/**
 * Failing fetches end after a multiple of this, so that their time tells little about the reason.
 */
const REFUSAL_MS = 500;

/**
 * Names resolved at the same time: each occupies one of libuv's four threads as long as its server
 * likes.
 */
const lookups = new Gate(2);

/** Addresses that are not public: this machine, its networks, and special purposes (RFC 6890). */
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

/**
 * In IPv6 only public ranges count, without those that carry an IPv4 address or serve as examples.
 */
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

/**
 * The bytes at an address from a client. Every address that the name resolves to is checked, the
 * connection goes to the checked address, and redirects are treated alike. A missing name, a
 * private one and a silent server give the same refusal, so that clients cannot map a network.
 *
 * @throws Problem 403 `URL_PRIVATE` for a private address in numbers, 422 `URL_ANSWER`,
 *   `URL_TOO_LARGE`; what `take` throws; the reason of `signal`
 */
export async function fetchImage(url: URL, limits: FetchLimits, isAllowed = isPublic): Promise<Uint8Array> {
  const start = performance.now();
  if (isIP(bare(url)) !== 0 && !isAllowed(bare(url))) {
    throw new Problem(403, 'URL_PRIVATE', 'url: expected a public address, found one that is not');
  }
  try {
    return await follow(url, limits, isAllowed);
  } catch (error) {
    if (error !== NO_ANSWER) throw error;
    await sleep(REFUSAL_MS - ((performance.now() - start) % REFUSAL_MS));
    limits.signal.throwIfAborted();
    throw unanswered('no answer');
  }
}

/** The refusal of a private address, and of one without a server. */
const NO_ANSWER = new Error('no answer');

async function follow(url: URL, limits: FetchLimits, isAllowed: typeof isPublic): Promise<Uint8Array> {
  let at = url;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const answer = await request(at, limits.signal, isAllowed);
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
    return collect(answer, limits);
  }
  throw unanswered(`more than ${MAX_REDIRECTS} redirections`);
}

function bare({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, '');
}

function redirected(location: string, from: URL): URL {
  const to = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (to !== undefined && /^https?:$/.test(to.protocol)) return to;
  throw unanswered('a redirection to no address of http');
}

function request(url: URL, signal: AbortSignal, isAllowed: typeof isPublic): Promise<IncomingMessage> {
  if (isIP(bare(url)) !== 0 && !isAllowed(bare(url))) throw NO_ANSWER;
  const get = url.protocol === 'https:' ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const asking = get(url, { lookup: checkedLookup(isAllowed, signal), signal, agent: false }, resolve);
    asking.on('error', () => reject(signal.aborted ? signal.reason : NO_ANSWER));
    asking.on('close', () => reject(NO_ANSWER)); // a switch to another protocol ends without an error
  });
}

/** `dns.lookup` that requires all of its answers to be public. */
function checkedLookup(isAllowed: typeof isPublic, signal: AbortSignal): LookupFunction {
  return (host, options, callback) => {
    lookups
      .pass(signal, () => lookup(host, { ...options, all: true }))
      .then((addresses) => {
        if (!addresses.every(({ address }) => isAllowed(address))) throw NO_ANSWER;
        if (options.all) callback(null, addresses);
        else callback(null, addresses[0]!.address, addresses[0]!.family);
      })
      .catch((error) => callback(error, '', 4));
  };
}

async function collect(
  answer: IncomingMessage,
  { maxBytes, signal, take }: FetchLimits,
): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let length = 0;
  const pace = new Pace();
  const timer = setInterval(() => performance.now() < pace.end || answer.destroy(), 1000);
  try {
    for await (const part of answer as AsyncIterable<Buffer>) {
      pace.add(part.length);
      length += part.length;
      if (length > maxBytes)
        throw new Problem(422, 'URL_TOO_LARGE', `url: expected at most ${maxBytes} bytes, found more`);
      take?.(part.length);
      parts.push(part);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof Problem ? error : unanswered('a part of its body');
  } finally {
    clearInterval(timer);
  }
  return Buffer.concat(parts);
}

function unanswered(found: string): Problem {
  return new Problem(422, 'URL_ANSWER', `url: expected an image, found ${found}`);
}
