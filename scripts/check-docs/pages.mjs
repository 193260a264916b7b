// The shell blocks of a Markdown page, and whether what came out is what the page shows.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fromMarkdown } from 'mdast-util-from-markdown';

/** `<!-- docs:check skip: REASON -->` before a block: it cannot run here, or its output differs. */
const DIRECTIVE = /^<!-- docs:check skip: (.+) -->$/;

/**
 * @returns the shell blocks in order: `commands` with their lines, `skip` with the reason of a
 *   directive, `output` with what a block directly after it shows
 */
export function readBlocks(path) {
  const { children } = fromMarkdown(readFileSync(path, 'utf8'));
  const nodes = children.flatMap((node) => (node.type === 'list' ? listed(node) : [node]));
  return nodes.flatMap((node, n) => {
    if (node.type !== 'code' || !/^(sh|bash|shell)$/.test(node.lang ?? '')) return [];
    const after = nodes[n + 1];
    const isOutput = after?.type === 'code' && [null, 'text', 'json'].includes(after.lang);
    const commands = splitCommands(node.value, node.position.start.line + 1);
    return [{ commands, skip: reasonOf(nodes[n - 1]), output: isOutput ? after.value : undefined }];
  });
}

const listed = (list) => list.children.flatMap(({ children }) => children);
const reasonOf = (node) => (node?.type === 'html' ? DIRECTIVE.exec(node.value)?.[1] : undefined);

/** Whole commands: lines are joined until bash can parse them. */
function splitCommands(text, firstLine) {
  const commands = [];
  let open;
  for (const [n, line] of text.split('\n').entries()) {
    if (open === undefined && /^\s*(#|$)/.test(line)) continue;
    open = open ? { ...open, text: `${open.text}\n${line}` } : { text: line, line: firstLine + n };
    if (line.endsWith('\\') || spawnSync('bash', ['-n', '-c', open.text]).status !== 0) continue;
    commands.push(open);
    open = undefined;
  }
  return open === undefined ? commands : [...commands, open];
}

/**
 * Whether `expected` is a part of `found`, whole lines of it. Numbers may differ, or with
 * `exactly` only times. `…` stands for anything, on a line of its own for any lines.
 */
export function shows(found, expected, exactly) {
  const lines = normal(found, exactly);
  const pattern = normal(expected, exactly).map((line) =>
    line === '…' ? '(?:.*\n)*' : `${line.split('…').map(escaped).join('.*')}\n`,
  );
  return new RegExp(`^${pattern.join('')}`, 'm').test(lines.map((line) => `${line}\n`).join(''));
}

const escaped = (text) => text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');

function normal(text, exactly) {
  const lines = jsonLines(text).map((line) => {
    const timeless = line.replace(/\d[\d.,]*(?= (?:ms|s|min)\b)/g, 'N').replace(/"ms":\d[\d.]*/g, '"ms":N');
    const numberless = exactly
      ? timeless
      : timeless.replace(/\d[\d.,]*\d|\d/g, 'N').replace(/[█▏▎▍▌▋▊▉]+/g, '');
    return numberless.replace(/\s+/g, ' ').trim();
  });
  return lines.filter((line) => line !== '');
}

/** JSON, as a whole or by line, in one form; other lines as they are. */
function jsonLines(text) {
  const whole = compact(text);
  return whole === undefined ? text.split('\n').map((line) => compact(line) ?? line) : [whole];
}

function compact(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' ? JSON.stringify(value) : undefined;
  } catch {
    return undefined;
  }
}
