import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readImages } from '../../src/serve/images.js';

const read = (text: string) => readImages('application/json', Buffer.from(text), 32);
const MIB = 2 ** 20;

/** Each took seconds and hundreds of megabytes as `JSON.parse` reads it. */
test.each<[string, string, string]>([
  ['brackets', '['.repeat(10 * MIB), 'JSON'],
  ['brackets in pairs', '['.repeat(5 * MIB) + ']'.repeat(5 * MIB), 'JSON'],
  ['brackets in the list', `{"images":${'['.repeat(5 * MIB)}${']'.repeat(5 * MIB)}}`, 'JSON'],
  ['objects', `${'{"a":'.repeat(2e6)}1${'}'.repeat(2e6)}`, 'JSON'],
  ['lists', `{"images":[${'[],'.repeat(3e6)}[]]}`, 'JSON'],
  ['numbers', `{"images":[${'1,'.repeat(5e6)}1]}`, 'TOO_MANY_IMAGES'],
  ['a long number', `{"images":["AA=="],"top":${'1'.repeat(10 * MIB)}}`, 'JSON'],
  ['members', `{${'"k":1,'.repeat(1e6)}"k":1}`, 'JSON'],
  ['a long name', `{"${'a'.repeat(10 * MIB)}":1}`, 'JSON'],
  ['a long address', `{"images":["http://${'@'.repeat(10 * MIB)}"]}`, 'URL'],
  ['a long string', `{"images":["${'!'.repeat(10 * MIB)}"]}`, 'BASE64'],
  ['a long data: URL', `{"images":["data:${'a'.repeat(10 * MIB)}"]}`, 'BASE64'],
  ['an open string', `{"images":["${'A'.repeat(10 * MIB)}`, 'JSON'],
])('10 MB of %s are refused at once', (_, text, code) => {
  const start = performance.now();
  expect(() => read(text)).toThrow(expect.objectContaining({ status: 400, code }));
  expect(performance.now() - start).toBeLessThan(1000);
});

test.each<[string, string | RegExp]>([
  ['{"images":["A=="]}', /images\[0\]: expected base64, found "A=="/],
  ['{"images":["\u00e9"]}', /expected base64, found "é"/],
  ['{"images":["\\q"]}', /expected JSON/],
  ['{"images":["\n"]}', /expected JSON/],
  ['{"images":"AA=="}', /images: expected a list, found "AA=="/],
  ['{"images":[["AA=="]]}', /images\[0\]: expected base64 or an address, found \["AA=="\]/],
  ['{"images":[null]}', /images\[0\]: expected base64 or an address, found null/],
  ['{"images":["AA=="],"top":"5"}', /top: expected an integer, found "5"/],
  ['{"images":["AA=="],"top":1e999}', /top: expected an integer from 1 to 1000000, found Infinity/],
  ['{"__proto__":{"images":["AA=="]}}', /expected the members images and top, found "__proto__"/],
  ['{"images":["AA=="],"__proto__":1}', /found "__proto__"/],
  ['"images"', /expected an object/],
  ['', /expected JSON/],
  ['{"images":["AA=="]} 1', /expected JSON/],
  ['{"images":["AA=="],"top":1 2}', /expected JSON/],
])('%s is refused', (text, message) => {
  expect(() => read(text)).toThrow(message);
});

test.each([
  ['as PHP writes it', '{"images":["data:image\\/png;base64,\\/\\/8="]}', [255, 255]],
  ['as .NET writes it', '{"images":["\\u002B\\u002b8="]}', [251, 239]],
  ['in lines', '{"images":["AAEC\\r\\nAwQF"]}', [0, 1, 2, 3, 4, 5]],
  ['after a byte order mark', '\ufeff{"images" : [ "AAEC" ] , "\\u0074op" : 1 }', [0, 1, 2]],
])('base64 %s', (_, text, bytes) => {
  expect(read(text).images).toEqual([{ source: Uint8Array.from(bytes) }]);
});

test('base64 is what atob takes', () => {
  const text = fc.string({ unit: fc.constantFrom(...'AZaz09+/= \n\t=-é"\\'), maxLength: 40 });
  fc.assert(
    fc.property(fc.oneof(text, fc.base64String()), (base64) => {
      const bytes = () => [...(read(JSON.stringify({ images: [base64] })).images[0]!.source as Uint8Array)];
      let expected: number[] | undefined;
      try {
        expected = [...atob(base64)].map((letter) => letter.charCodeAt(0));
      } catch {}
      if (expected === undefined) expect(bytes).toThrow(expect.objectContaining({ code: 'BASE64' }));
      else expect(bytes()).toEqual(expected);
    }),
  );
});

test('long base64 is read over the ends of slices', () => {
  const bytes = Buffer.from(Uint8Array.from({ length: 3 * MIB + 1 }, (_, i) => (i * 31) >> 3));
  const lines = bytes.toString('base64').replace(/.{77}/g, '$&\\n');
  const { images } = read(`{"images":["${bytes.toString('base64')}","${lines}"]${' '.repeat(2 * MIB)}}`);
  for (const { source } of images) expect(bytes.equals(source as Uint8Array)).toBe(true);
});
