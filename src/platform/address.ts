const DATA = /^data:[^,]*,/i;

/**
 * Whether a source is an address, and not a path. `http:x.png`, `data:x.png` and `blob:x.png` are
 * valid file names.
 */
export function isAddress(source: string): boolean {
  return /^(https?:\/\/|blob:([a-z]+:|null\/))/i.test(source) || DATA.test(source);
}

/** The user and query, which may be secret, of an address that lost a slash in `path.join`. */
const SECRETS = /(https?:[\\/]+)(?:[^\\/?#]*@)?([^?#]*).*$/is;

/**
 * A source for messages, records and logs: an address without user, query and fragment, which may
 * contain secrets; a path unchanged.
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

/** A foreign text, such as an engine's error message, with addresses shortened by `shownSource`. */
export function withShownAddresses(text: string): string {
  return text.replace(/\b(?:[a-z][a-z\d+.-]+:\/\/|https?:[\\/])[^\s"'`<>()]+/gi, shownSource);
}

/**
 * What is wrong with the address of a service; undefined if it is right. The text does not repeat
 * the address, which may contain a password.
 */
export function endpointFault(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) return 'something else';
  if (url.username || url.password) return 'one with a user name or password';
  return url.search || url.hash ? 'one with "?" or "#"' : undefined;
}
