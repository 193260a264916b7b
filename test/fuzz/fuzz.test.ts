import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { FqvitError } from '../../src/errors.js';
import { Dice } from './dice.js';
import { minimised } from './minimise.js';
import { ACCEPTED, attempt, attemptControl, same } from './target.js';
import { TARGETS } from './targets/index.js';

/** The seed of `npm run fuzz` unless told otherwise. */
const SEED = 1;

describe.each(TARGETS.map((target) => [target.name, target] as const))('%s', (name, target) => {
  test('is accepted or refused with a typed error, whatever the input', async () => {
    const codes = new Map<string, number>();
    for (let index = 0; index < target.inputs; index++) {
      const { code, finding } = await attempt(target, await target.make(Dice.of(SEED, index)));
      // What `npm run fuzz -- TARGET --reproduce SEED:INDEX` shows again.
      if (finding) throw new Error(`${name} ${SEED}:${index}: ${finding.detail}`);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect(await attemptControl(target)).toBeUndefined();
    // The generator reaches what is behind the first checks.
    expect(codes.get(ACCEPTED)).toBeGreaterThan(target.inputs / 100);
    expect(codes.size).toBeGreaterThan(1);
  });

  const folder = new URL(`findings/${name}/`, import.meta.url);
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    test(`${file}, which was a finding once`, async () => {
      const { finding } = await attempt(target, new Uint8Array(readFileSync(new URL(file, folder))));
      expect(finding?.detail).toBeUndefined();
      expect(await attemptControl(target)).toBeUndefined();
    });
  }

  test('makes the same input of the same seed and index', async () => {
    const [one, again, other] = [Dice.of(7, 3), Dice.of(7, 3), Dice.of(8, 3)];
    const input = await target.make(one);
    expect(same(await target.make(again), input)).toBe(true);
    expect(same(await target.make(Dice.replay(one.drawn)), input)).toBe(true);
    expect(same(await target.make(other), input)).toBe(false);
  });
});

describe('a finding', () => {
  const code = 'BROKEN';
  const broken = { ...TARGETS[0]!, name: 'broken', codes: [code], place: /^fuzz\.bin: / };

  test.each([
    ['an error of the platform', new TypeError('x is not a function'), /^TypeError/],
    [
      'a code that is not documented',
      Object.assign(refusal('fuzz.bin: no'), { code: 'OTHER' }),
      /not documented: OTHER/,
    ],
    ['a message without the place', refusal('no'), /without the place/],
    ['a message of two lines', refusal('fuzz.bin: a\nb'), /more than a line/],
  ])('is %s', async (_, error, key) => {
    const check = () => Promise.reject(error);
    const { finding } = await attempt({ ...broken, check }, new Uint8Array());
    expect(finding?.key).toMatch(key);
  });

  test('is no typed error', async () => {
    const check = () => Promise.reject(refusal('fuzz.bin: expected a, found b'));
    expect(await attempt({ ...broken, check }, new Uint8Array())).toEqual({ code });
  });

  function refusal(message: string): FqvitError {
    return new FqvitError('BROKEN', message);
  }
});

test('delta reduction keeps what shows the finding and makes it small', async () => {
  const list = Array.from({ length: 300 }, (_, i) => (i * 37) % 256);
  const shows = async (some: readonly number[]) => some.some((n, i) => n >= 100 && some.includes(7, i));
  const found = await minimised(list, shows, () => false);
  expect(found).toEqual([expect.any(Number), 7]);
  // Halves of it are too small.
  expect(found[0]).toBeGreaterThanOrEqual(100);
  expect(found[0]).toBeLessThan(200);
});
