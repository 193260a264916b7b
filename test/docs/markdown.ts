/** The tracked Markdown pages: their links, headings, commands and lines. */

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import GithubSlugger from 'github-slugger';
import type { Code, Heading, Nodes } from 'mdast';
import { fromMarkdown } from 'mdast-util-from-markdown';
import { gfmTableFromMarkdown } from 'mdast-util-gfm-table';
import { gfmTable } from 'micromark-extension-gfm-table';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The files that git tracks, or would track, under these paths. */
export function listFiles(...paths: string[]): string[] {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...paths];
  const names = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).split('\n');
  return names.filter((name) => name !== '' && existsSync(join(ROOT, name)));
}

export const readText = (file: string) => readFileSync(join(ROOT, file), 'utf8');

export interface Page {
  readonly file: string;
  readonly lines: readonly string[];
  /** All nodes, each before its children. */
  readonly nodes: readonly Nodes[];
}

export function readPage(file: string): Page {
  const text = readText(file);
  const tree = fromMarkdown(text, {
    extensions: [gfmTable()],
    mdastExtensions: [gfmTableFromMarkdown()],
  });
  return { file, lines: text.split('\n'), nodes: [...walk(tree)] };
}

function* walk(node: Nodes): Generator<Nodes> {
  yield node;
  if ('children' in node) for (const child of node.children) yield* walk(child);
}

export const lineOf = (node: Nodes) => node.position!.start.line;

/** The anchors that GitHub gives to the headings of a page. */
export function anchorsOf({ nodes }: Page): Set<string> {
  const slugger = new GithubSlugger();
  const headings = nodes.filter((node): node is Heading => node.type === 'heading');
  return new Set(headings.map((heading) => slugger.slug(textOf(heading))));
}

function textOf(node: Nodes): string {
  return [...walk(node)].map((part) => ('value' in part ? part.value : '')).join('');
}

/** Where links and images lead. */
export function linksOf({ nodes }: Page): { url: string; line: number }[] {
  return nodes.flatMap((node) => {
    if (node.type === 'link' || node.type === 'image' || node.type === 'definition')
      return [{ url: node.url, line: lineOf(node) }];
    if (node.type !== 'html') return [];
    const attributes = node.value.matchAll(/\b(?:href|src)="([^"]*)"/g);
    return [...attributes].map(([, url]) => ({ url: url!, line: lineOf(node) }));
  });
}

/** Code between backticks, on one line. */
export function inlineCodeOf({ nodes }: Page): { value: string; line: number }[] {
  return nodes.flatMap((node) =>
    node.type === 'inlineCode' ? [{ value: node.value.replace(/\s+/g, ' '), line: lineOf(node) }] : [],
  );
}

/** The command lines of shell blocks and of code between backticks, without comments. */
export function commandsOf(page: Page): { value: string; line: number }[] {
  const blocks = page.nodes.filter(
    (node): node is Code => node.type === 'code' && /^(sh|bash|shell|console)$/.test(node.lang ?? ''),
  );
  return [
    ...inlineCodeOf(page),
    ...blocks.flatMap((block) => {
      const lines: { value: string; line: number }[] = [];
      let continues = false;
      for (const [n, text] of block.value.split('\n').entries()) {
        const value = text.replace(/(^|\s)#.*$/, '').trim();
        if (continues) lines.at(-1)!.value += ` ${value}`;
        else lines.push({ value, line: lineOf(block) + 1 + n });
        continues = value.endsWith('\\');
        lines.at(-1)!.value = lines.at(-1)!.value.replace(/\\$/, '');
      }
      return lines;
    }),
  ];
}

/** The numbers of the lines that are prose: neither code nor a table nor the target of a link. */
export function proseLinesOf({ nodes, lines }: Page): number[] {
  const other = new Set<number>();
  for (const { type, position } of nodes) {
    if (type !== 'code' && type !== 'table' && type !== 'definition') continue;
    for (let n = position!.start.line; n <= position!.end.line; n++) other.add(n);
  }
  return lines.map((_, n) => n + 1).filter((line) => !other.has(line));
}
