const DATA = /^data:[^,]*,/i;

/** What is fetched and no path. `http:x.png`, `data:x.png` and `blob:x.png` are names that a file may have. */
export function isAddress(source: string): boolean {
  return /^(https?:\/\/|blob:([a-z]+:|null\/))/i.test(source) || DATA.test(source);
}

/** Of an address that lost a slash, as `path.join` takes one, what may be secret: user and query. */
const SECRETS = /(https?:[\\/]+)(?:[^\\/?#]*@)?([^?#]*).*$/is;

/**
 * A source as messages, records and logs show it: an address without user, query and fragment, which may hold secrets; a path as it
 * is.
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

/** A text of somebody else, as the reason of an engine, with its addresses as `shownSource` gives them. */
export function withShownAddresses(text: string): string {
  return text.replace(/\b(?:[a-z][a-z\d+.-]+:\/\/|https?:[\\/])[^\s"'`<>()]+/gi, shownSource);
}
