import { quote } from '../text/quote.js';
import { MAX_CLASSES } from './values.js';

/** Keys of dicts and objects are strings: `0` and `'0'` are the same key. */
export type Literal = string | number | boolean | null | Literal[] | { [key: string]: Literal };

/** Throws, with the line, what was expected and what was found. */
export type RefuseLine = (line: number, expected: string, found: string) => never;

/** Of a list or dict: as many lines as there may be. */
const MAX_MEMBERS = MAX_CLASSES;

/** Deeper than any config of transformers. */
const MAX_DEPTH = 32;

const CONSTANTS: Readonly<Record<string, Literal>> = {
  ...{ true: true, True: true, false: false, False: false },
  ...{ null: null, None: null },
};

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ "'": "'", '"': '"', '\\': '\\', '/': '/', '\n': '' },
  ...{ n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' },
};

const BLANK = /\s+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\//y;

/**
 * What may precede the bracket: `NAMES =`, `NAMES: dict[int, str] =`, `export const NAMES =`,
 * `module.exports =`.
 */
const ASSIGNMENT =
  /(?:export +default|(?:(?:export +)?(?:const|let|var) +)?[A-Za-z_$][\w.$]{0,60}(?: *:[\w[\], .<>]{1,60})?\s{0,9}=)\s{0,9}(?=[[{(])/y;

/** The value of a text that is one literal; undefined for other text. */
export function parseLiteral(text: string, refuse: RefuseLine): Literal | undefined {
  return new Parser(text, refuse).file();
}

class Parser {
  readonly #text: string;
  readonly #refuse: RefuseLine;
  #at = 0;

  constructor(text: string, refuse: RefuseLine) {
    this.#text = text;
    this.#refuse = refuse;
  }

  file(): Literal | undefined {
    this.#skip();
    const start = this.#at;
    const isAssigned = this.#match(ASSIGNMENT) !== undefined;
    if (!isAssigned && !/^(?:[[{]|\(\s{0,99}['"])/.test(this.#text.slice(start, start + 101)))
      return undefined;
    const value = this.#value(0);
    this.#take(';');
    if (this.#at < this.#text.length) this.#fail('the end of the file');
    return value;
  }

  #value(depth: number): Literal {
    if (depth > MAX_DEPTH) this.#fail(`at most ${MAX_DEPTH} levels`);
    if (this.#take('{')) return this.#dict(depth);
    if (this.#take('[')) return this.#list(']', depth).items;
    if (this.#take('(')) {
      const { items, commas } = this.#list(')', depth);
      return items.length === 1 && commas === 0 ? items[0]! : items;
    }
    const word = this.#match(/(?:[Tt]rue|[Ff]alse|null|None)\b/y);
    if (word !== undefined) return CONSTANTS[word]!;
    return this.#string() ?? this.#number() ?? this.#fail('a value');
  }

  #dict(depth: number): Literal {
    const dict: { [key: string]: Literal } = Object.create(null);
    for (let members = 0; !this.#take('}'); members++) {
      if (members === MAX_MEMBERS) this.#fail(`at most ${MAX_MEMBERS} members`);
      this.#skip();
      const start = this.#at;
      const key = String(this.#string() ?? this.#number() ?? this.#fail('a key in quotes, or a number'));
      if (Object.hasOwn(dict, key)) {
        this.#refuse(this.#line(start), 'every key once', `${quote(key)} again`);
      }
      if (!this.#take(':')) this.#fail(`":" after the key ${quote(key)}`);
      dict[key] = this.#value(depth + 1);
      if (!this.#take(',') && !this.#sees('}')) this.#fail('"," or "}"');
    }
    return dict;
  }

  #list(end: string, depth: number): { items: Literal[]; commas: number } {
    const items: Literal[] = [];
    let commas = 0;
    while (!this.#take(end)) {
      if (items.length === MAX_MEMBERS) this.#fail(`at most ${MAX_MEMBERS} members`);
      items.push(this.#value(depth + 1));
      if (this.#take(',')) commas++;
      else if (!this.#sees(end)) this.#fail(`"," or "${end}"`);
    }
    return { items, commas };
  }

  #string(): string | undefined {
    this.#skip();
    const quote = this.#match(/u?['"]/y)?.at(-1);
    if (quote === undefined) return undefined;
    let value = '';
    for (;;) {
      value += this.#match(quote === "'" ? /[^'\\\n]+/y : /[^"\\\n]+/y) ?? '';
      if (this.#text[this.#at] === quote) break;
      if (this.#text[this.#at] !== '\\')
        this.#fail(`${quote === "'" ? '"\'"' : "'\"'"} at the end of the text`);
      value += this.#escape();
    }
    this.#at++;
    return value;
  }

  #escape(): string {
    const code = this.#match(/\\(?:x[\dA-Fa-f]{2}|u[\dA-Fa-f]{4}|U[\dA-Fa-f]{8})/y);
    const point = code === undefined ? Number.NaN : Number.parseInt(code.slice(2), 16);
    if (point <= 0x10ffff) return String.fromCodePoint(point);
    const known = ESCAPES[this.#text[this.#at + 1] ?? ''];
    if (code !== undefined || known === undefined) this.#fail('an escape of JSON or Python');
    this.#at += 2;
    return known!;
  }

  #number(): number | undefined {
    const digits = this.#match(/[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?/iy);
    return digits === undefined ? undefined : Number(digits);
  }

  #take(character: string): boolean {
    const found = this.#sees(character);
    if (found) this.#at++;
    this.#skip();
    return found;
  }

  #sees(character: string): boolean {
    this.#skip();
    return this.#text[this.#at] === character;
  }

  #skip(): void {
    while (this.#match(BLANK) !== undefined);
  }

  /** @param pattern sticky */
  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #line(at: number): number {
    return this.#text.slice(0, at).split('\n').length;
  }

  #fail(expected: string): never {
    const rest = this.#text.slice(this.#at, this.#at + 40).split('\n')[0]!;
    const found = this.#at < this.#text.length ? quote(rest) : 'the end of the file';
    return this.#refuse(this.#line(this.#at), expected, found);
  }
}
