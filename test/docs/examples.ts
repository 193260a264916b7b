/** Finds the TypeScript and JavaScript examples of README.md, docs/ and JSDoc comments. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** One program: a block, and the blocks without imports that continue it. */
export interface Example {
  /** `docs/serve.md:19`: where its first block is. */
  readonly place: string;
  readonly extension: string;
  code: string;
  /** False for ` ```ts no-run `: it needs a network or another engine, and is only type-checked. */
  readonly runs: boolean;
  /** What it prints, if a block without a language comes directly after it. */
  output?: string;
}

/** All examples, in the order of the files. */
export function findExamples(): Example[] {
  const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  return [
    ...['README.md', ...pages.map((name) => `docs/${name}`)].flatMap((file) => examplesOf(file, read(file))),
    ...sources
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `src/${name.replaceAll('\\', '/')}`)
      .flatMap((file) => examplesOf(file, jsdocExamples(read(file)))),
  ];
}

const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

/** The `@example` parts of JSDoc comments, each line where it was. */
function jsdocExamples(source: string): string {
  let isExample = false;
  const lines = source.split('\n').map((line) => {
    if (/^ *(\/\*\*|\*\/|\* @)/.test(line)) isExample = /^ *\* @example/.test(line);
    else if (isExample) return line.replace(/^ *\* ?/, '');
    return '';
  });
  return lines.join('\n');
}

const FENCE = /^```(\w*)([^\n]*)\n([\s\S]*?)^```$/gm;

function examplesOf(file: string, text: string): Example[] {
  const examples: Example[] = [];
  let last: Example | undefined;
  /** Where the last program ends in the text. */
  let end = 0;
  for (const { index, 0: block, 1: language, 2: words, 3: code } of text.matchAll(FENCE)) {
    if (/^m?[jt]s$/.test(language!)) {
      if (last === undefined || /^import /m.test(code!)) {
        const place = `${file}:${text.slice(0, index).split('\n').length}`;
        last = { place, extension: language!, code: code!, runs: words!.trim() !== 'no-run' };
        examples.push(last);
      } else {
        last.code += code;
      }
      end = index + block.length;
    } else if (last !== undefined && language === '' && text.slice(end, index).trim() === '') {
      last.output = code!;
    }
  }
  return examples;
}
