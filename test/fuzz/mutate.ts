/** Changes to bytes, text and JSON that any format can suffer. */

import type { Dice } from './dice.js';

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export const encoded = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** The bytes with `count` changes. */
export function mutatedBytes(dice: Dice, bytes: Uint8Array, count = dice.between(1, 4)): Uint8Array {
  let result: Uint8Array = bytes;
  for (let i = 0; i < count; i++) result = mutatedOnce(dice, result);
  return result;
}

function mutatedOnce(dice: Dice, bytes: Uint8Array): Uint8Array {
  const at = dice.below(bytes.length + 1);
  const length = Math.min(dice.pick([1, 2, 4, 8, 3, 16, 64, 300]), bytes.length - at);
  const [before, cut, after] = [
    bytes.subarray(0, at),
    bytes.subarray(at, at + length),
    bytes.subarray(at + length),
  ];
  switch (dice.below(9)) {
    case 0:
      return joined(
        before,
        cut.map((byte) => byte ^ (1 << dice.below(8))),
        after,
      );
    case 1:
      return joined(before, dice.bytes(length), after);
    case 2:
      return joined(before, after);
    case 3:
      return joined(before, cut, cut, after);
    case 4:
      return joined(before, dice.bytes(length), cut, after);
    case 5:
      return before.slice();
    case 6:
      return joined(before, new Uint8Array(length).fill(dice.pick([0, 255, 127, 128, 1])), after);
    case 7: {
      const from = dice.below(bytes.length + 1);
      return joined(before, bytes.subarray(from, from + length), after);
    }
    default:
      return joined(before, oddNumber(dice), bytes.subarray(Math.min(bytes.length, at + 4)));
  }
}

/** Four bytes of an integer at a limit, in either order. */
function oddNumber(dice: Dice): Uint8Array {
  const bytes = Buffer.alloc(4);
  const value = dice.oddInteger();
  if (dice.chance(0.5)) bytes.writeUInt32BE(value);
  else bytes.writeUInt32LE(value);
  return bytes;
}

const ODD_TEXTS = [
  ...[
    '',
    ' ',
    '0',
    '-1',
    '__proto__',
    'constructor',
    'toString',
    'null',
    'a\u0000b',
    '\ud800',
    '\u001b[31m',
    '\u202e',
  ],
  ...[
    '../../etc/passwd',
    'é',
    '写真',
    '\u{1f600}',
    'NaN',
    '1e999',
    '[',
    '{',
    '"',
    "'",
    '\\',
    '\n',
    '\r\n',
    '\t',
    '%s',
    '%00',
  ],
  ...['x'.repeat(300), 'a.b.c', 'https://example.com/', 'n01440764', 'softmax', 'vit', 'swin', 'avg', 'true'],
] as const;

export const oddText = (dice: Dice): string => dice.pick(ODD_TEXTS);

/** Text with `count` changes to characters, words and lines. */
export function mutatedText(dice: Dice, text: string, count = dice.between(1, 4)): string {
  let result = text;
  for (let i = 0; i < count; i++) {
    const at = dice.below(result.length + 1);
    const end = at + dice.pick([1, 2, 4, 10, 40]);
    const [before, cut, after] = [result.slice(0, at), result.slice(at, end), result.slice(end)];
    const lines = result.split('\n');
    const line = dice.below(lines.length);
    switch (dice.below(9)) {
      case 0:
        result = before + after;
        break;
      case 1:
        result = before + cut + cut + after;
        break;
      case 2:
        result = before + oddText(dice) + cut + after;
        break;
      case 3:
        result = before + String.fromCodePoint(dice.between(1, 127)) + result.slice(at + 1);
        break;
      case 4:
        result = result.replace(/\d+/, () => String(dice.oddInteger()));
        break;
      case 5:
        lines.splice(line, 1);
        result = lines.join('\n');
        break;
      case 6:
        lines.splice(line, 0, dice.pick(lines));
        result = lines.join('\n');
        break;
      case 7:
        result =
          before +
          dice.pick([...'"\'{}[](),:;=|#\t\n\r\\ -'] as const).repeat(dice.pick([1, 2, 50, 1900, 20_000])) +
          cut +
          after;
        break;
      default:
        result = before;
    }
  }
  return result;
}

/** Any JSON. */
// biome-ignore lint/suspicious/noExplicitAny: whatever a file may hold
export type Json = any;

/** A value that is not expected where it stands. */
export function oddValue(dice: Dice): Json {
  switch (dice.below(10)) {
    case 0:
      return null;
    case 1:
      return dice.oddInteger();
    case 2:
      return -dice.oddInteger();
    case 3:
      return dice.pick([0.5, -0.5, 1e-9, 1e9, 1e38, 1e308, 2 ** 53, -0, 1 / 3, 5e-324]);
    case 4:
      return oddText(dice);
    case 5:
      return dice.chance(0.5);
    case 6:
      return [];
    case 7:
      return {};
    case 8:
      return Array.from({ length: dice.between(1, 5) }, () => dice.oddInteger());
    default:
      return JSON.parse(`{"__proto__":{"${oddText(dice).replace(/[^\w]/g, '')}":1},"a":[[1]]}`);
  }
}

/** JSON with `count` changes to its values and keys; deep ones as likely as shallow ones. */
export function mutatedJson(dice: Dice, value: Json, count = dice.between(1, 3)): Json {
  const root = { value: structuredClone(value) };
  for (let i = 0; i < count; i++) {
    const places: [owner: Json, key: string][] = [];
    const walk = (owner: Json) => {
      for (const key of Object.keys(owner)) {
        if (places.length > 20_000) return;
        places.push([owner, key]);
        if (typeof owner[key] === 'object' && owner[key] !== null) walk(owner[key]);
      }
    };
    walk(root);
    const [owner, key] = dice.pick(places);
    owner[key] = changedValue(dice, owner, key);
  }
  return root.value;
}

function changedValue(dice: Dice, owner: Json, key: string): Json {
  const value = owner[key];
  if (typeof value === 'number' && dice.chance(0.6)) {
    return dice.pick([
      value + 1,
      value - 1,
      -value,
      value * 2,
      value / 2,
      value + 0.5,
      0,
      value * 1e6,
      dice.oddInteger(),
    ]);
  }
  if (typeof value === 'object' && value !== null && dice.chance(0.7)) {
    const keys = Object.keys(value);
    if (Array.isArray(value)) {
      const at = dice.below(value.length + 1);
      const kept = value.slice(0, 10_000);
      return dice.pick([
        () => kept.filter((_, i) => i !== at),
        () => [...kept.slice(0, at), oddValue(dice), ...kept.slice(at)],
        () => [...kept, ...kept],
        () => kept.reverse(),
      ])();
    }
    const found = keys.length === 0 ? 'a' : dice.pick(keys);
    const { [found]: taken, ...rest } = value;
    return dice.pick([
      () => rest,
      () => ({ ...rest, [oddText(dice)]: taken }),
      () => ({ ...value, [oddText(dice)]: oddValue(dice) }),
    ])();
  }
  if (typeof value === 'string' && dice.chance(0.4)) return mutatedText(dice, value, 1);
  return dice.chance(0.1) ? [value] : oddValue(dice);
}

/** JSON text, at times with what `JSON.stringify` does not write. */
export function jsonText(dice: Dice, value: Json): string {
  const text = JSON.stringify(value) ?? 'null';
  if (!dice.chance(0.15)) return text;
  return dice.pick([
    () => mutatedText(dice, text, 1),
    () =>
      text.replace(/\d+/, () =>
        dice.pick(['1e999', '-0', '01', '0x10', 'NaN', '1.0', '9007199254740993', '1e-400']),
      ),
    () => text.replace(/("[^"]*":[^,{[\]}]*)([,}])/, '$1,$1$2'),
    () => text.replace('{', `{"a":${'['.repeat(dice.pick([10, 1000, 20_000]))}`),
    () => `\ufeff${text}`,
    () => JSON.stringify(value, undefined, 1),
  ])();
}
