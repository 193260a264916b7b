import { UsageError } from '../errors.js';
import { MAX_THREADS } from '../runtime/threads.js';
import { quote } from '../text/quote.js';

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The integer given as option `--name`. @throws UsageError `OPTION` */
export function integerOption(name: string, text: string, low: number, high?: number): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isSafeInteger(value) && value >= low && value <= (high ?? value)) return value;
  return refuse(
    name,
    high === undefined ? `an integer from ${low}` : `an integer from ${low} to ${high}`,
    text,
  );
}

/** Bytes, or with a unit KiB, MiB or GiB in any case. @throws UsageError `OPTION` */
export function sizeOption(name: string, text: string): number {
  const [, number, unit = ''] = /^(\d{1,15}(?:\.\d{1,6})?) ?([kmg]ib|b)?$/i.exec(text) ?? [];
  const bytes = Number(number) * 1024 ** ['b', 'kib', 'mib', 'gib'].indexOf(unit.toLowerCase() || 'b');
  if (bytes >= 1 && bytes <= Number.MAX_SAFE_INTEGER) return Math.floor(bytes);
  return refuse(name, 'a size above 0, such as 1500MiB, 2GiB or a number of bytes', text);
}

/** The option of commands that run a model. */
export const THREADS_OPTION = {
  type: 'string',
  valueHint: 'N',
  default: '1',
  description: 'Threads to use for each image',
} as const;

export function threadsOption(text: string): number {
  return integerOption('threads', text, 1, MAX_THREADS);
}

/** Like `integerOption`, for a number above 0 and at most 1. */
export function fractionOption(name: string, text: string): number {
  const value = decimal(text);
  return value > 0 && value <= 1 ? value : refuse(name, 'a number above 0 and at most 1', text);
}

/** Three numbers from 0 to 1, separated by commas. @param positive refuses 0 */
export function tripleOption(
  name: string,
  text: string,
  { positive = false }: { positive?: boolean } = {},
): [number, number, number] {
  const values = text.split(',').map((part) => decimal(part.trim()));
  if (values.length === 3 && values.every((v) => (positive ? v > 0 : v >= 0) && v <= 1)) {
    return values as [number, number, number];
  }
  const range = positive ? 'above 0 and at most 1' : 'from 0 to 1';
  return refuse(name, `three numbers ${range} as r,g,b`, text);
}

/** Applies `read` if the option was given. */
export function optional<T>(text: string | undefined, read: (text: string) => T): T | undefined {
  return text === undefined ? undefined : read(text);
}

/** The decimal number in a text, or NaN. */
export function decimal(text: string): number {
  return NUMBER.test(text) ? Number(text) : Number.NaN;
}

function refuse(name: string, expected: string, found: string): never {
  throw new UsageError('OPTION', `option --${name}: expected ${expected}, found ${quote(found)}`);
}
