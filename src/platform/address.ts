/** What is fetched and no path. `http:x.png` is a name that a file may have. */
export function isAddress(source: string): boolean {
  return /^(https?:\/\/|data:|blob:)/i.test(source);
}

/**
 * A source as messages, records and logs show it: an address without user, query and fragment, which may hold secrets; a path as it
 * is.
 */
export function shownSource(source: string | URL): string {
  const text = String(source);
  if (/^data:/i.test(text)) return 'data URL';
  const scheme = /^[a-z][a-z\d+.-]+:\/\//i.exec(text)?.[0];
  if (scheme === undefined) return text;
  if (!URL.canParse(text)) return `${scheme}…`;
  const { protocol, host, pathname, username, password, search, hash } = new URL(text);
  return username || password || search || hash ? `${protocol}//${host}${pathname}` : text;
}

/** A text of somebody else, as the reason of an engine, with its addresses as `shownSource` gives them. */
export function withShownAddresses(text: string): string {
  return text.replace(/\b[a-z][a-z\d+.-]+:\/\/[^\s"'`<>()]+/gi, shownSource);
}
