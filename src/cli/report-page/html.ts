import { escapeControls } from '../format.js';

/** Text that is already HTML. */
export class Html {
  constructor(readonly text: string) {}
}

type Value = string | number | Html | readonly Html[];

/**
 * HTML from a template. Escapes every value for elements and for attributes in double quotes,
 * except `Html`.
 */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  const parts = values.map((value, i) => `${asHtml(value)}${strings[i + 1]!}`);
  return new Html(strings[0]! + parts.join(''));
}

function asHtml(value: Value): string {
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(({ text }) => text).join('');
  return escaped(escapeControls(String(value)));
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);
}
