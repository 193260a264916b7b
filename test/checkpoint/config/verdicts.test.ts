import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { configsPage } from '../../../scripts/configs-doc.mjs';
import { MODEL_ARGS, PRETRAINED_CFG, TIMM_CONFIG } from '../../../src/checkpoint/config/timm-keys.js';
import {
  PREPROCESSOR_CONFIG,
  TRANSFORMERS_CONFIG,
  UNSUPPORTED,
} from '../../../src/checkpoint/config/transformers-keys.js';
import { judge, type VerdictTable } from '../../../src/checkpoint/config/verdicts.js';

const TABLES = [TRANSFORMERS_CONFIG, PREPROCESSOR_CONFIG, TIMM_CONFIG, PRETRAINED_CFG, MODEL_ARGS];

const refuse = (message: string): never => {
  throw new Error(message);
};

/** The output of scripts/library_keys.py for one version of transformers. */
interface LibraryKeys {
  readonly transformers: string;
  readonly config: readonly string[];
  readonly preprocessor: readonly string[];
  readonly pretrained_cfg: readonly string[];
  readonly model_args: readonly string[];
}
const libraries: LibraryKeys[] = JSON.parse(
  readFileSync(new URL('library-keys.json', import.meta.url), 'utf8'),
);

describe.each(libraries)(
  'every key of transformers $transformers and timm $timm has a verdict',
  (library) => {
    test.each([
      ['config', TRANSFORMERS_CONFIG],
      ['preprocessor', PREPROCESSOR_CONFIG],
      ['pretrained_cfg', PRETRAINED_CFG],
      ['model_args', MODEL_ARGS],
    ] as const)('%s', (name, { verdicts }: VerdictTable) => {
      const judged = new Set(verdicts.flatMap(({ keys }) => keys));
      expect(library[name].length).toBeGreaterThan(20);
      expect(library[name].filter((key) => !judged.has(key))).toEqual([]);
    });
  },
);

test.each(TABLES)('$title has one verdict per key', ({ verdicts }) => {
  const keys = verdicts.flatMap((verdict) => verdict.keys);
  expect(keys.filter((key, i) => keys.indexOf(key) !== i)).toEqual([]);
});

test('docs/configs.md matches the tables (run `node scripts/configs-doc.mjs`)', () => {
  const page = readFileSync(new URL('../../../docs/configs.md', import.meta.url), 'utf8');
  expect(page).toBe(configsPage(TABLES, UNSUPPORTED));
});

describe('judge', () => {
  const table: VerdictTable = {
    title: 'a table',
    others: 'ignored',
    verdicts: [
      { keys: ['applied'], applied: 'somehow' },
      { keys: ['three'], only: [3], because: 'another number' },
      { keys: ['none'], only: [], because: 'it' },
      { keys: ['empty'], only: [{}], because: 'something' },
    ],
  };

  test.each([
    [{ three: 4 }, 'three: expected 3, found 4: fqvit does not support another number'],
    [{ three: '3' }, 'three: expected 3, found "3"'],
    [{ three: [3] }, 'three: expected 3, found [3]'],
    [{ none: 0 }, 'none: expected null, found 0: fqvit does not support it'],
    [{ empty: { 1: [2] } }, 'empty: expected {}, found an object'],
    [{ empty: [] }, 'empty: expected {}, found []'],
    [{ do_anything: true }, 'do_anything: expected a known key, found true'],
    [{ do_anything: 'x' }, 'do_anything: expected a known key, found "x"'],
  ])('refuses %j', (json, message) => {
    expect(() => judge(json, table, refuse)).toThrow(message);
  });

  test('accepts harmless values and returns keys without a verdict', () => {
    const json = { applied: 1, three: 3, none: null, empty: {}, do_nothing: false, other: 1, more: {} };
    expect(judge(json, table, refuse)).toEqual(['do_nothing', 'other', 'more']);
  });

  test('refuses other keys if the table knows all keys', () => {
    expect(() => judge({ other: 1 }, { ...table, others: 'refused' }, refuse)).toThrow(
      'other: expected a known key, found 1',
    );
  });

  test('treats __proto__ like any other key', () => {
    expect(judge(JSON.parse('{ "__proto__": { "three": 4 } }'), table, refuse)).toEqual(['__proto__']);
  });
});
