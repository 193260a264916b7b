import { expect, test } from '@jest/globals';
import { listFiles, readText } from './markdown.js';

const FOLDERS = ['src', 'assembly', 'test', 'bench', 'scripts', 'training', 'examples'];

/** Written by a script. */
const GENERATED = ['src/architecture/timm-names.ts'];

/** A line of a comment, or a comment after code. */
const JAVASCRIPT = /^\s*(?:\/\/|\/\*|\*(?![a-z]))|^[^'"`]*\s\/\/ /;
const PYTHON = /^\s*#|^[^'"]*\s# /;

/** Tools read these, and an address cannot be broken. */
const ONE_LINE = /\b(?:biome-ignore|https?:\/\/)|@ts-/;

test('comments have at most 100 columns', () => {
  const files = listFiles(...FOLDERS).filter((file) => !GENERATED.includes(file));
  const found = files
    .filter((file) => /\.(?:ts|mjs|js|mts|py|sh)$/.test(file))
    .flatMap((file) =>
      commentLines(file).flatMap(({ line, text }) => {
        const columns = [...text].length;
        return columns > 100 && !ONE_LINE.test(text) ? [`${file}:${line}: ${columns} columns`] : [];
      }),
    );
  expect(found).toEqual([]);
});

/** The lines of comments and of Python's docstrings. */
function commentLines(file: string): { line: number; text: string }[] {
  const comment = /\.(?:py|sh)$/.test(file) ? PYTHON : JAVASCRIPT;
  let inString = false;
  return readText(file)
    .split('\n')
    .flatMap((text, n) => {
      const quotes = file.endsWith('.py') ? text.split('"""').length - 1 : 0;
      const isComment = inString || quotes > 0 || comment.test(text);
      if (quotes % 2 === 1) inString = !inString;
      return isComment ? [{ line: n + 1, text }] : [];
    });
}
