/** Label files in every form that is read. */

import { readFileSync } from 'node:fs';
import { parseLabels } from '../../../src/labels/parse.js';
import type { Dice } from '../dice.js';
import { jsonText, mutatedJson, mutatedText, oddText } from '../mutate.js';
import { expectThat, FILE, type Target } from '../target.js';

const NAMES = [
  'tench',
  'goldfish',
  'great white shark',
  'tiger, cat',
  "cat's eye",
  'n01440764',
  '747 jet',
  '3',
  'é',
  '  x ',
];
const WNIDS = ['n01440764', 'n01443537', 'n01484850', 'n01491361', 'n01494475', 'n01496331'];
const YREVAR = readFileSync(new URL('../../labels/yrevar.txt', import.meta.url), 'utf8');

/** Labels as text in one of the forms. */
function sound(dice: Dice): string {
  const count = dice.pick([1, 2, 3, 6, 6, 40]);
  const names = Array.from({ length: count }, (_, i) =>
    dice.chance(0.8) ? `class ${i}x` : dice.pick(NAMES),
  );
  const quote = dice.pick(["'", '"']);
  const separator = dice.pick([':', ': ', '\t', ',', ';', ' ', '. ', ') ', ' | ', ' - ', '=', ' -> ']);
  const from = dice.pick([0, 0, 1]);
  const lines = (line: (name: string, i: number) => string) =>
    names.map(line).join(dice.pick(['\n', '\r\n', '\r']));
  return dice.pick<() => string>([
    () => lines((name) => name),
    () => lines((name, i) => `${i + from}${separator}${name}`),
    () => lines((name, i) => `${name}${separator}${i + from}`),
    () => lines((name, i) => `${WNIDS[i % WNIDS.length]} ${name}`),
    () =>
      `${dice.pick(['index', 'id', '', 'ClassId'])},${dice.pick(['label', 'name', 'x'])}\n${lines((name, i) => `${i},"${name}"`)}`,
    () => jsonText(dice, names),
    () => jsonText(dice, Object.fromEntries(names.map((name, i) => [i, name]))),
    () => jsonText(dice, Object.fromEntries(names.map((name, i) => [name, i]))),
    () => jsonText(dice, { id2label: Object.fromEntries(names.map((name, i) => [i, name])) }),
    () => jsonText(dice, { label_names: names }),
    () =>
      jsonText(
        dice,
        names.map((name, index) => ({ index, name })),
      ),
    () => jsonText(dice, Object.fromEntries(names.map((name, i) => [i, [WNIDS[i % WNIDS.length], name]]))),
    () => `{${names.map((name, i) => `${i}: ${quote}${name}${quote}`).join(',\n ')}}`,
    () =>
      `${dice.pick(['CLASSES', 'export const NAMES', 'module.exports', 'x: list[str]'])} = ${dice.pick(['[', '('])}${names.map((name) => `${quote}${name}${quote}`).join(', ')},${dice.pick([']', ')'])};`,
    () => lines((name) => `${quote}${name}${quote},`),
    () => YREVAR,
  ])();
}

export const labels: Target = {
  name: 'labels',
  about: 'Label files: lines, tables, JSON, literals of Python and JavaScript',
  inputs: 3000,
  codes: ['LABELS'],
  place: /^fuzz\.bin(:\d+)?: expected .* found /,
  make(dice) {
    let text = sound(dice);
    if (dice.chance(0.5)) text = mutatedText(dice, text);
    if (dice.chance(0.1)) {
      try {
        text = jsonText(dice, mutatedJson(dice, JSON.parse(text)));
      } catch {
        text = oddText(dice).repeat(dice.pick([1, 100, 10_000]));
      }
    }
    return Uint8Array.from(Buffer.from(text));
  },
  async check(input) {
    const text = new TextDecoder().decode(input);
    const { labels: found, wnids } = parseLabels(text, FILE);
    expectThat(found.length > 0, 'no labels');
    expectThat(
      found.every((label) => typeof label === 'string' && label.trim() !== '' && label.length <= 1000),
      'a label that is none',
    );
    if (wnids) {
      expectThat(
        wnids.length === found.length && new Set(wnids).size === wnids.length,
        'WordNet ids that do not fit',
      );
      expectThat(
        wnids.every((wnid) => /^n\d{8}$/.test(wnid)),
        'a WordNet id that is none',
      );
    }
    const again = parseLabels(text, FILE);
    expectThat(
      JSON.stringify(again) === JSON.stringify({ labels: found, ...(wnids ? { wnids } : {}) }),
      'other labels the second time',
    );
    return undefined;
  },
};
