const DATA = /^data:[^,]*,/i;

/** Whether a source is fetched, and not a path. `http:x.png`, `data:x.png` and `blob:x.png` are valid file names. */
export function isAddress(source: string): boolean {
  return /^(https?:\/\/|blob:([a-z]+:|null\/))/i.test(source) || DATA.test(source);
}

/** Of an address that lost a slash, as `path.join` takes one, what may be secret: user and query. */
const SECRETS = /(https?:[\\/]+)(?:[^\\/?#]*@)?([^?#]*).*$/is;

/**
 * A source for messages, records and logs: an address without user, query and fragment, which may hold secrets; a path unchanged.
 */
export function shownSource(source: string | URL): string {
  const text = String(source);
  if (DATA.test(text)) return 'data URL';
  const scheme = /^[a-z][a-z\d+.-]+:\/\//i.exec(text)?.[0];
  if (scheme === undefined) return text.replace(SECRETS, '$1$2');
  if (!URL.canParse(text)) return `${scheme}…`;
  const { protocol, host, pathname, username, password, search, hash } = new URL(text);
  return username || password || search || hash ? `${protocol}//${host}${pathname}` : text;
}

/** A foreign text, as an engine's error message, with its addresses shortened by `shownSource`. */
export function withShownAddresses(text: string): string {
  return text.replace(/\b(?:[a-z][a-z\d+.-]+:\/\/|https?:[\\/])[^\s"'`<>()]+/gi, shownSource);
}

/** What is wrong with the address of a service, which may hold a password: it is not repeated. Undefined where nothing is. */
export function endpointFault(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return 'something else';
  if (url.username || url.password) return 'one with a user name or password';
  return url.search || url.hash ? 'one with "?" or "#"' : undefined;
}
