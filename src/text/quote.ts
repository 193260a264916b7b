/** Makes an untrusted name safe for a message: quoted, on one line, at most 80 characters. */
export function quoted(name: string): string {
  return printable(JSON.stringify(name.slice(0, 80))) + (name.length > 80 ? '...' : '');
}

/** Escapes control and other invisible characters: a file must not control the user's terminal. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
