import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { readBlocks, shows } from '../../scripts/check-docs/pages.mjs';

test('reads the commands of shell blocks, why a block is skipped, and the output after it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fqvit-blocks-'));
  const page = join(folder, 'page.md');
  const block = (language: string, ...lines: string[]) => [`\`\`\`${language}`, ...lines, '```', ''];
  const text = [
    ...['# A page', ''],
    ...block('sh', '# a comment', 'fqvit a \\', '  --b', 'for x in 1 2; do', '  echo $x', 'done'),
    ...block('', 'it prints', 'this'),
    ...['Text.', '', '<!-- docs:check skip: needs a moon -->'],
    ...block('sh', 'fqvit moon'),
    ...['Text.', ''],
    ...block('', 'no output'),
    ...block('ts', 'load()'),
  ];
  writeFileSync(page, text.join('\n'));
  const blocks = readBlocks(page);
  rmSync(folder, { recursive: true });
  expect(blocks).toEqual([
    {
      commands: [
        { text: 'fqvit a \\\n  --b', line: 5 },
        { text: 'for x in 1 2; do\n  echo $x\ndone', line: 7 },
      ],
      output: 'it prints\nthis',
    },
    { commands: [{ text: 'fqvit moon', line: 21 }], skip: 'needs a moon' },
  ]);
});

test.each([
  ['numbers differ', 'a 12 ms b 3.5 %', 'a 7 ms b 40 %', false, true],
  ['only times differ', 'a 12 ms 3.5 %', 'a 7.5 ms 3.5 %', true, true],
  ['a percentage differs', 'a 12 ms 3.5 %', 'a 12 ms 3.6 %', true, false],
  ['a word differs', 'a 12 ms', 'b 12 ms', false, false],
  ['more lines come before and after', 'x\na\nb\ny', 'a\nb', true, true],
  ['a line is missing', 'a\nb', 'a\n\nb\nc', true, false],
  ['a line is only a part', 'abc', 'ab', true, false],
  ['a part of a line is left out', 'a b c', 'a … c', true, true],
  ['lines are left out', 'a\nb\nc\nd', 'a\n…\nd', true, true],
  ['JSON is laid out in another way', '{"a":[1,"b"],"ms":5}', '{\n  "a": [1, "b"], "ms": 7 }', true, true],
  ['a key of JSON differs', '{"a":1}', '{ "b": 1 }', false, false],
])('%s', (_, found, expected, exactly, same) => {
  expect(shows(found, expected, exactly)).toBe(same);
});
