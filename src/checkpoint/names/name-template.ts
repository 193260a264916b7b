/**
 * A pattern for tensor names. `{i}` and `{j}` match a number, `{2i+1}` matches a number computed
 * from it, and a final `*` matches `weight` or `bias`.
 */
export class NameTemplate {
  readonly #text: string;
  readonly #places: readonly TemplatePlace[];
  readonly #pattern: RegExp;

  constructor(text: string) {
    this.#text = text;
    this.#places = [...text.matchAll(PLACE)].map(([, factor, letter, offset]) => ({
      letter: letter!,
      factor: Number(factor || 1),
      offset: Number(offset ?? 0),
    }));
    const source = text
      .replace(PLACE, '\0')
      .replaceAll('.', '\\.')
      .replace('*', '(weight|bias)')
      .replaceAll('\0', '(0|[1-9]\\d{0,5})');
    this.#pattern = new RegExp(`^${source}$`);
  }

  /** `keyOf` of all names that match. */
  get keys(): string[] {
    const key = NameTemplate.keyOf(this.#text.replace(PLACE, '0'));
    return key.includes('*') ? ['weight', 'bias'].map((parameter) => key.replace('*', parameter)) : [key];
  }

  /** A name with `#` for its numbers: the key to look up templates that may match. */
  static keyOf(name: string): string {
    return name.replace(/\d+/g, '#');
  }

  /** Translates a name that matches this template to `other`; undefined if it does not match. */
  translate(name: string, other: NameTemplate): string | undefined {
    const found = this.#pattern.exec(name);
    if (found === null) return undefined;
    const numbers = new Map<string, number>();
    for (const [at, { letter, factor, offset }] of this.#places.entries()) {
      const number = (Number(found[at + 1]) - offset) / factor;
      if (!Number.isInteger(number) || number < 0) return undefined;
      numbers.set(letter, number);
    }
    return other.#fill(numbers, found[this.#places.length + 1] ?? '');
  }

  #fill(numbers: ReadonlyMap<string, number>, parameter: string): string {
    let at = 0;
    const text = this.#text.replace(PLACE, () => {
      const { letter, factor, offset } = this.#places[at++]!;
      return String(factor * numbers.get(letter)! + offset);
    });
    return text.replace('*', parameter);
  }
}

/** A number in a template: factor · letter + offset. */
interface TemplatePlace {
  readonly letter: string;
  readonly factor: number;
  readonly offset: number;
}

const PLACE = /\{(\d*)([a-z])(?:\+(\d+))?\}/g;
