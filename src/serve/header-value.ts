/** A header's value and its parameters, whose names are in lower case. */
export interface HeaderValue {
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
}

// a bare value begins after its blanks; otherwise the pattern would backtrack over long runs of
// them
const PARAMETER =
  /;[ \t]*(?:([!#$%&'*+.^\w`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^";\s][^";]*)?))?(?=;|$)/y;

/**
 * Reads `value; name=token; name="quoted"`. Unquoted values may contain spaces, as some clients
 * send them.
 *
 * @param unquote decodes the text between quotes
 * @returns undefined if the text has another form or repeats a parameter
 */
export function parseHeaderValue(
  text: string,
  unquote: (quoted: string) => string = (quoted) => quoted.replace(/\\(.)/g, '$1'),
): HeaderValue | undefined {
  const value = text.split(';', 1)[0]!;
  const parameters = new Map<string, string>();
  let at = value.length;
  while (at < text.length) {
    PARAMETER.lastIndex = at;
    const match = PARAMETER.exec(text);
    if (match === null) return undefined;
    at = PARAMETER.lastIndex;
    const [, name, quoted, token = ''] = match;
    if (name === undefined) continue;
    const key = name.toLowerCase();
    if (parameters.has(key)) return undefined;
    parameters.set(key, quoted === undefined ? token.trim() : unquote(quoted));
  }
  return { value: value.trim().toLowerCase(), parameters };
}
