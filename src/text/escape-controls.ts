/**
 * Characters that control a terminal or change the direction or end of a line: control characters,
 * direction marks, line separators, lone surrogates.
 */
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/**
 * A foreign text, made safe for one line of a terminal: such characters become `\x1b`, `\x202e`; a
 * tab becomes a space.
 */
export function escapeControls(text: string): string {
  return text.replace(UNSAFE, (character) => {
    if (character === '\t') return ' ';
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
}

/** Equivalent JSON, with such characters in strings escaped as `\u009b`. */
export function escapeJsonControls(json: string): string {
  return json.replace(UNSAFE, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
