/** A strict reader of the HTML of the page: attributes in double quotes, every element closed. */

export interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  /** Its content, with markup. */
  readonly inner: string;
}

const VOID = new Set(['meta', 'img', 'br']);
const RAW = new Set(['script', 'style']);
const TAG = /<(\/?)([a-z][a-z0-9]*)((?: [a-z-]+(?:="[^"<>]*")?)*)>/y;
const ATTRIBUTE = / ([a-z-]+)(?:="([^"]*)")?/g;
const ENTITY = /&(?!amp;|lt;|gt;|quot;|#39;)/;

/** The elements in order. @throws Error if the HTML is not well formed */
export function elementsOf(html: string): Element[] {
  const elements: { name: string; attributes: Map<string, string>; inner: string; from: number }[] = [];
  const open: (typeof elements)[number][] = [];
  const text = html.replace(/^<!doctype html>/, '');
  let at = 0;
  while (at < text.length) {
    if (text[at] !== '<') {
      const next = text.indexOf('<', at);
      const end = next < 0 ? text.length : next;
      if (ENTITY.test(text.slice(at, end))) throw new Error(`a bare & in ${text.slice(at, end)}`);
      at = end;
      continue;
    }
    TAG.lastIndex = at;
    const [tag, slash, name, attributes] = TAG.exec(text) ?? [];
    if (tag === undefined) throw new Error(`no tag at ${text.slice(at, at + 60)}`);
    at += tag.length;
    if (slash === '/') {
      const element = open.pop();
      if (element?.name !== name) throw new Error(`expected </${element?.name}>, found ${tag}`);
      element!.inner = text.slice(element!.from, at - tag.length);
      continue;
    }
    const found = [...attributes!.matchAll(ATTRIBUTE)].map(([, key, value = '']) => [key!, value] as const);
    const element = { name: name!, attributes: new Map(found), inner: '', from: at };
    elements.push(element);
    if (VOID.has(name!)) continue;
    open.push(element);
    if (RAW.has(name!)) at = text.indexOf(`</${name}`, at);
    if (at < 0) throw new Error(`expected </${name}>, found the end`);
  }
  if (open.length > 0) throw new Error(`expected </${open.at(-1)!.name}>, found the end`);
  return elements;
}
