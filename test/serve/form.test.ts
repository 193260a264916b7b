import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { readImages } from '../../src/serve/images.js';
import { Problem } from '../../src/serve/problem.js';
import { multipartCases } from './multipart-cases.js';

const IMAGE = Uint8Array.from({ length: 1000 }, (_, i) => i);

describe('a form', () => {
  test.each(multipartCases(IMAGE).map((one) => [one.name, one] as const))(
    '%s',
    (_, { type, body, expected }) => {
      const read = () => readImages(type, body, 3);
      if (typeof expected === 'string') {
        expect(read).toThrow(
          expect.objectContaining({ code: expected, message: expect.stringMatching(FORM) }),
        );
      } else {
        expect(read().images).toEqual(expected.map((name) => ({ name, source: Buffer.from(IMAGE) })));
      }
    },
  );

  const FORM = /^\S+: expected .+, found ./;

  test('gives every image to the byte', () => {
    const piece = fc.constantFrom('\r\n', '\r', '\n', '--', '-', '--B', 'B', '\r\n--', '\r\n--B', '\0', 'ÿ');
    fc.assert(
      fc.property(fc.array(fc.array(piece, { maxLength: 40 }), { minLength: 1, maxLength: 3 }), (images) => {
        const files = images.map((pieces) => Buffer.from(pieces.join(''), 'latin1'));
        fc.pre(files.every((file) => !`\r\n${file.toString('latin1')}\r\n`.includes('\r\n--BB')));
        const body = Buffer.concat([
          ...files.flatMap((file, i) => [
            Buffer.from(`--BB\r\nContent-Disposition: form-data; name=image; filename=${i}\r\n\r\n`),
            file,
            Buffer.from('\r\n'),
          ]),
          Buffer.from('--BB--\r\n'),
        ]);
        const { images: read } = readImages('multipart/form-data; boundary=BB', body, 3);
        expect(read.map(({ source }) => Buffer.from(source as Uint8Array).toString('latin1'))).toEqual(
          files.map((file) => file.toString('latin1')),
        );
      }),
    );
  });

  test('that is damaged is refused, or still gives an image of the right name', () => {
    const forms = multipartCases(Buffer.from('image'));
    fc.assert(
      fc.property(
        fc.constantFrom(...forms),
        fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.constantFrom(...'\r\n-B"\\%*=:; \0ÿa')), { maxLength: 4 }),
        ({ type, body }, damages) => {
          let text = body.toString('latin1');
          for (const [at, removed, added] of damages) {
            const i = at % (text.length + 1);
            text = text.slice(0, i) + added + text.slice(i + removed);
          }
          try {
            const { images } = readImages(type, Buffer.from(text, 'latin1'), 3);
            for (const { name } of images) expect(typeof name).toBe('string');
          } catch (error) {
            if (!(error instanceof Problem)) throw error;
            expect(error.status === 400 || error.status === 415).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

test.each(['{"images":["Yw=="],"images":["ZA=="]}', '{"top":1,"images":["Yw=="],"t\\u006fp" : 2}'])(
  'a document with a member twice, %s, is refused',
  (text) => {
    expect(() => readImages('application/json', Buffer.from(text), 3)).toThrow(
      'body: expected each member once, found one twice',
    );
  },
);

test('quotes and colons in the strings of a document are no members', () => {
  const images = ['data:image/png;base64,Yw==', 'https://host/a"b":c\\":'];
  const { images: read } = readImages('application/json', Buffer.from(JSON.stringify({ images })), 3);
  expect(read).toHaveLength(2);
});

test.each([
  ['utf-8', undefined],
  ['"UTF-8"', undefined],
  ['utf-16', /^content-type: expected charset utf-8, found "utf-16"$/],
])('a document in the charset %s', (charset, refusal) => {
  const read = () =>
    readImages(`application/json; charset=${charset}`, Buffer.from('{"images":["Yw=="]}'), 3);
  if (refusal === undefined) expect(read().images).toEqual([{ source: Uint8Array.of(99) }]);
  else expect(read).toThrow(refusal);
});
