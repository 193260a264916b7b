/** What a terminal obeys or what turns or breaks a line: control characters, marks of direction, separators, halves of pairs. */
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** A text from elsewhere on one line of a terminal: `\x1b`, `\x202e`; a tab becomes a space. */
export function plain(text: string): string {
  return text.replace(UNSAFE, (character) => {
    if (character === '\t') return ' ';
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** JSON that means the same, with such characters inside strings as `\u009b`. */
export function plainJson(json: string): string {
  return json.replace(UNSAFE, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
