/** The sources of the kernels. No formatter parses their decorators, so their format is tested. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { kernelSizes } from '../../scripts/kernel-sizes.mjs';

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));

const sources = readdirSync(at('assembly'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

const RULES: readonly (readonly [rule: string, breaks: RegExp])[] = [
  ['at most 140 columns', /^.{141}/],
  ['no tabs', /\t/],
  ['no blanks at the end', /\s$/],
  ['indented by two spaces', /^( {2})* (?! ?\*)\S/],
  ['single quotes', /^[^/*]*"/],
];

test.each(RULES)('the sources have %s', (_, breaks) => {
  const found = sources.flatMap((file) =>
    readFileSync(at(`assembly/${file}`), 'utf8')
      .split('\n')
      .flatMap((line, i) => (breaks.test(line) ? [`${file}:${i + 1}: ${line}`] : [])),
  );
  expect(found).toEqual([]);
});

test('src/runtime/kernel-sizes.ts has the sizes that the kernels compile', () => {
  expect(readFileSync(at('src/runtime/kernel-sizes.ts'), 'utf8')).toBe(kernelSizes());
});
