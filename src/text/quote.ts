/** Makes an untrusted name safe for a message: quoted, on one line, at most 80 characters. */
export function quote(name: string): string {
  return escapeInvisible(JSON.stringify(name.slice(0, 80))) + (name.length > 80 ? '...' : '');
}

/** Escapes control and other invisible characters: a file must not control the user's terminal. */
export function escapeInvisible(text: string): string {
  return text.replace(/\p{C}/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`);
}
