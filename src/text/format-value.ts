import { quote } from './quote.js';

/** Formats an untrusted value for a message: short, on one line, and without descending into it. */
export function formatValue(value: unknown): string {
  if (Array.isArray(value))
    return `[${value.slice(0, 4).map(flat).join(', ')}${value.length > 4 ? ', ...' : ''}]`;
  return flat(value);
}

function flat(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (Array.isArray(value)) return 'an array';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
