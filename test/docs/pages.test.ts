import { dirname, join, normalize } from 'node:path';
import { parseArgs } from 'node:util';
import { expect, test } from '@jest/globals';
import type { Command } from '../../src/cli/command.js';
import { COMMANDS } from '../../src/cli/commands.js';
import {
  anchorsOf,
  commandsOf,
  inlineCodeOf,
  linksOf,
  listFiles,
  type Page,
  proseLinesOf,
  readPage,
  readText,
} from './markdown.js';

const files = listFiles();
const folders = new Set(files.flatMap((file) => foldersOf(file)));
const pages = new Map(files.filter((file) => file.endsWith('.md')).map((file) => [file, readPage(file)]));

function foldersOf(file: string): string[] {
  const parent = dirname(file);
  return parent === '.' ? [] : [parent, ...foldersOf(parent)];
}

/** What is wrong, `FILE:LINE: what`; `check` gives undefined for what is right. */
function complaints<T extends { line: number }>(
  itemsOf: (page: Page) => readonly T[],
  check: (item: T, page: Page) => string | undefined,
): string[] {
  return [...pages.values()].flatMap((page) =>
    itemsOf(page).flatMap((item) => {
      const complaint = check(item, page);
      return complaint === undefined ? [] : [`${page.file}:${item.line}: ${complaint}`];
    }),
  );
}

test('links lead to files and headings that exist', () => {
  const found = complaints(linksOf, ({ url }, page) => {
    if (/^[a-z]+:/i.test(url)) return undefined;
    const [path = '', anchor] = decodeURIComponent(url).split('#');
    const target = path === '' ? page.file : normalize(join(dirname(page.file), path)).replace(/\/$/, '');
    if (!files.includes(target) && !folders.has(target)) return `${url}: no such file`;
    if (anchor === undefined) return undefined;
    const targetPage = pages.get(target);
    return targetPage && anchorsOf(targetPage).has(anchor) ? undefined : `${url}: no such heading`;
  });
  expect(found).toEqual([]);
});

const REPOSITORY_PATH =
  /^(?:\.github|assembly|bench|codecs|docs|examples|models|scripts|src|test|training)\/[\w.*/-]*$/;

test('paths of the repository that pages name exist', () => {
  const found = complaints(inlineCodeOf, ({ value }, { file }) => {
    if (!REPOSITORY_PATH.test(value) || isIgnored(value)) return undefined;
    // KIND, NAME and TARGET stand for any name
    const pattern = value
      .replace(/\/$/, '')
      .replace(/[.-]/g, '\\$&')
      .replace(/\*|\b(?:KIND|NAME|TARGET)\b/g, '[^/]+');
    const exists = new RegExp(`^(?:${dirname(file)}/)?${pattern}$`);
    return [...files, ...folders].some((name) => exists.test(name)) ? undefined : `${value}: no such file`;
  });
  expect(found).toEqual([]);
});

/** Made by a command, and left out by .gitignore. */
function isIgnored(path: string): boolean {
  return /\/(node_modules|\.site|runs)\b|^bench\/peers\/models\b/.test(path);
}

test('prose has at most 100 columns', () => {
  const found = complaints(
    (page) => proseLinesOf(page).map((line) => ({ line })),
    ({ line }, { lines }) => {
      const text = lines[line - 1]!;
      const isLink = /^\s*(?:[-*] )?(?:!?\[[^\]]*\]\(\S*\)|<?https?:\S+)[.,;:]?$/.test(text);
      const columns = [...text].length;
      return columns <= 100 || isLink ? undefined : `${columns} columns`;
    },
  );
  expect(found).toEqual([]);
});

test('the README has at most 120 lines of at most 100 columns', () => {
  const lines = readText('README.md').trimEnd().split('\n');
  expect(lines.length).toBeLessThanOrEqual(120);
  expect(lines.filter((line) => [...line].length > 100)).toEqual([]);
});

test('docs/README.md links to every page of docs/', () => {
  const linked = new Set(linksOf(pages.get('docs/README.md')!).map(({ url }) => url.replace(/#.*/, '')));
  const all = [...pages.keys()].flatMap((file) => /^docs\/([\w-]+\.md)$/.exec(file)?.[1] ?? []);
  expect(all.filter((page) => page !== 'README.md' && !linked.has(page))).toEqual([]);
});

const FQVIT = /(?:^|[\s(;&|])(?:npx )?fqvit +([^\s|;&>()]+)([^|;&>()]*)/g;

test('`fqvit` commands and their options exist', async () => {
  const commands = new Map<string, Command>();
  for (const [name, { load }] of COMMANDS) commands.set(name, (await load()).default);
  let seen = 0;
  const found = complaints(commandsOf, ({ value }) => {
    if (/\bnpm (install|i|pack)\b/.test(value)) return undefined;
    for (const [, name, rest] of value.matchAll(FQVIT)) {
      // COMMAND and … stand for any command
      if (/^(--help|--version|COMMAND|…)$/.test(name!)) continue;
      const command = commands.get(name!);
      if (command === undefined) return `fqvit ${name}: no such command`;
      const wrong = unknownOption(command, words(rest!));
      if (wrong !== undefined) return `fqvit ${name} ${wrong}: no such option`;
      seen++;
    }
    return undefined;
  });
  expect(found).toEqual([]);
  expect(seen).toBeGreaterThan(20);
});

const words = (text: string) => text.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];

function unknownOption({ args }: Command, found: readonly string[]): string | undefined {
  const options = Object.fromEntries(
    Object.entries(args).flatMap(([name, def]) => {
      if (def.type === 'positional') return [];
      const short = 'alias' in def && typeof def.alias === 'string' ? { short: def.alias } : {};
      return [
        [name, { type: def.type === 'boolean' ? ('boolean' as const) : ('string' as const), ...short }],
      ];
    }),
  );
  const { tokens } = parseArgs({ args: [...found], options, strict: false, tokens: true });
  const wrong = tokens.find(
    (token) => token.kind === 'option' && token.name !== 'help' && !Object.hasOwn(options, token.name),
  );
  return wrong?.kind === 'option' ? wrong.rawName : undefined;
}

test('options between backticks belong to some command or script', async () => {
  const known = new Set<string>();
  for (const { load } of COMMANDS.values())
    for (const name of Object.keys((await load()).default.args)) known.add(name);
  const scripts = files.filter((file) => /^(?!test\/docs).*\.(ts|mjs|js|py|sh|json)$/.test(file));
  const isInScript = (name: string) =>
    scripts.some((file) => new RegExp(`--${name}\\b|['"]${name}['"]`).test(textOf(file)));
  const found = complaints(inlineCodeOf, ({ value }) => {
    const name = /^--([a-z][a-z-]+)\b/.exec(value)?.[1];
    return name === undefined || known.has(name) || isInScript(name)
      ? undefined
      : `--${name}: no such option`;
  });
  expect(found).toEqual([]);
});

const texts = new Map<string, string>();
function textOf(file: string): string {
  const text = texts.get(file) ?? readText(file);
  texts.set(file, text);
  return text;
}

const SCRIPT = /(?:^|[\s(;&|/])(?:node|python3?) +(?:--[\w=-]+ +)*([\w./-]+\.(?:mjs|py))([^|;&>()]*)/g;
const IN_REPOSITORY = /^(?:bench|examples|scripts|test|training)\//;
const NPM_RUN = /\bnpm run +(?:--silent +)?([\w:-]+)(?: +-- ([^|;&>()]*))?/g;

test('scripts of the repository and their options exist', () => {
  const { scripts } = JSON.parse(readText('package.json'));
  let seen = 0;
  const found = complaints(commandsOf, ({ value }, page) => {
    for (const [, name, rest = ''] of value.matchAll(NPM_RUN)) {
      if (!Object.hasOwn(scripts, name!)) return `npm run ${name}: no such script`;
      const file = /^node (\S+)$/.exec(scripts[name!])?.[1];
      const wrong = file && unknownTo(file, rest);
      if (wrong) return `npm run ${name} ${wrong}: no such option`;
      seen++;
    }
    for (const [, path, rest] of value.matchAll(SCRIPT)) {
      const file = [path!, join(dirname(page.file), path!)].find((name) => files.includes(name));
      if (file === undefined && IN_REPOSITORY.test(path!)) return `${path}: no such file`;
      // a program of the reader
      if (file === undefined) continue;
      const wrong = unknownTo(file, rest!);
      if (wrong !== undefined) return `${file} ${wrong}: no such option`;
      seen++;
    }
    return undefined;
  });
  expect(found).toEqual([]);
  expect(seen).toBeGreaterThan(20);
});

const unknownTo = (script: string, rest: string) =>
  words(rest).find((word) => /^--\w/.test(word) && !takes(script, word));

/** Whether a script, or a module of the repository that it imports, names the option. */
function takes(script: string, option: string, seen = new Set<string>()): boolean {
  if (seen.has(script)) return false;
  seen.add(script);
  const text = textOf(script);
  const name = option.replace(/^--/, '').replace(/=.*/, '');
  if (new RegExp(`['"]${name}['"]|--${name}\\b|\\b${name}: `).test(text)) return true;
  const imports = [...text.matchAll(/'(\.[^']+)\.(?:[mc]?js|ts)'/g)].flatMap(([, path]) =>
    ['mjs', 'js', 'ts'].map((extension) => `${join(dirname(script), path!)}.${extension}`),
  );
  return imports.some((file) => files.includes(file) && takes(file, option, seen));
}
