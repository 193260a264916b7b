import { CheckpointError } from '../errors.js';
import type { Rgb } from '../image/types.js';
import { formatValue } from '../text/format-value.js';
import { quote } from '../text/quote.js';

/** With a larger scale, a dequantised code could exceed the range of float32. */
export const MAX_SCALE = 1e36;

/** A JSON object being checked. Errors name the path, what was expected and what was found. */
export class Checked {
  readonly object: Readonly<Record<string, unknown>>;

  /** @param base keys that `onlyKeys` always permits */
  constructor(
    json: unknown,
    private readonly file: string,
    private readonly path: string,
    private readonly base: readonly string[] = [],
  ) {
    if (typeof json !== 'object' || json === null || Array.isArray(json)) {
      throw new CheckpointError(
        'MODEL_DESCRIPTION',
        `${file}: ${path}: expected an object, found ${found(json)}`,
      );
    }
    this.object = json as Record<string, unknown>;
  }

  readonly refuse = (message: string): never => {
    throw new CheckpointError('MODEL_DESCRIPTION', `${this.file}: ${this.path}: ${message}`);
  };

  fail(key: string, expected: string): never {
    throw new CheckpointError(
      'MODEL_DESCRIPTION',
      `${this.file}: ${this.path}.${key}: expected ${expected}, found ${found(this.value(key))}`,
    );
  }

  value(key: string): unknown {
    return Object.hasOwn(this.object, key) ? this.object[key] : undefined;
  }

  child(key: string): Checked {
    return new Checked(this.value(key), this.file, `${this.path}.${key}`);
  }

  onlyKeys(keys: readonly string[]): void {
    const known = new Set([...this.base, ...keys]);
    for (const key of Object.keys(this.object)) {
      if (!known.has(key)) this.refuse(`expected only keys of this version, found ${quote(key)}`);
    }
  }

  string(key: string): string {
    const value = this.value(key);
    return typeof value === 'string' ? value : this.fail(key, 'a string');
  }

  number(key: string): number {
    const value = this.value(key);
    return typeof value === 'number' && Number.isFinite(value) ? value : this.fail(key, 'a finite number');
  }

  scale(key: string): number {
    const scale = this.number(key);
    return scale > 0 && scale <= MAX_SCALE
      ? scale
      : this.fail(key, `a positive number, at most ${MAX_SCALE}`);
  }

  integer(key: string, low: number, high: number): number {
    const value = this.value(key);
    return isInteger(value, low, high) ? value : this.fail(key, `an integer from ${low} to ${high}`);
  }

  /** Two integers from `low` to `high`. */
  pair(key: string, low: number, high: number): readonly [number, number] {
    return this.integers(key, [2, 2], low, high) as readonly number[] as [number, number];
  }

  /** A list of so many integers from `low` to `high`. */
  integers(
    key: string,
    [least, most]: readonly [number, number],
    low: number,
    high: number,
  ): readonly number[] {
    const value = this.value(key);
    const { length } = Array.isArray(value) ? value : [];
    if (length >= least && length <= most && (value as unknown[]).every((item) => isInteger(item, low, high)))
      return value as number[];
    const count = least === most ? most : `${least} to ${most}`;
    return this.fail(key, `${count} integers from ${low} to ${high}`);
  }

  oneOf<T extends string | number>(key: string, choices: readonly T[]): T {
    const value = this.value(key);
    return choices.includes(value as T) ? (value as T) : this.fail(key, `one of ${choices.join(', ')}`);
  }

  /** A list of at most `most` strings. */
  names(key: string, most: number): readonly string[] {
    const value = this.value(key);
    return Array.isArray(value) && value.length <= most && value.every((item) => typeof item === 'string')
      ? value
      : this.fail(key, `a list of at most ${most} strings`);
  }

  strings(key: string, count: number): string[] {
    const value = this.value(key);
    if (!Array.isArray(value) || value.some((item) => typeof item !== 'string'))
      this.fail(key, 'a list of strings');
    const list = value as string[];
    if (list.length !== count) {
      throw new CheckpointError(
        'MODEL_DESCRIPTION',
        `${this.file}: ${this.path}.${key}: expected ${count} ${key}, one for each class, found ${list.length}`,
      );
    }
    return list;
  }

  triple(key: string): Rgb {
    const value = this.value(key);
    if (!Array.isArray(value) || value.length !== 3 || !value.every(Number.isFinite))
      this.fail(key, 'three numbers');
    const [r, g, b] = value as [number, number, number];
    return [r, g, b];
  }
}

function isInteger(value: unknown, low: number, high: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= low && (value as number) <= high;
}

function found(value: unknown): string {
  return value === undefined ? 'nothing' : formatValue(value);
}
