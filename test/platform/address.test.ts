import { expect, test } from '@jest/globals';
import { isAddress, shownSource, withShownAddresses } from '../../src/platform/address.js';
import { joinPath } from '../../src/platform/join-path.js';
import { escapeControls, escapeJsonControls } from '../../src/text/escape-controls.js';

test.each([
  ['https://h.example/a/b.png', 'https://h.example/a/b.png'],
  ['https://h.example', 'https://h.example'],
  ['https://me:s3cret@h.example:8443/a.png?X-Amz-Signature=s3cret#s3cret', 'https://h.example:8443/a.png'],
  ['HTTPS://s3cret@H.example/a', 'https://h.example/a'],
  ['https://h.example/a?s3cret', 'https://h.example/a'],
  ['https://me:s3cret@h.example:99999/a', 'https://…'],
  ['https://me:s3c/ret@h.example/a', 'https://…'],
  ['s3://key:s3cret@bucket/a?s3cret', 's3://bucket/a'],
  ['hf://owner/name@v1/a.safetensors', 'hf://owner/name@v1/a.safetensors'],
  ['data:image/png;base64,s3cret', 'data URL'],
  ['data:x.png', 'data:x.png'],
  ['https:/me:s3cret@h.example/a?s3cret', 'https:/h.example/a'],
  ['https:\\\\h.example\\a?s3cret', 'https:\\\\h.example\\a'],
  ['photos/https:/h.example/a@b.png?X-Amz-Signature=s3cret', 'photos/https:/h.example/a@b.png'],
  ['a?b#c@d.png', 'a?b#c@d.png'],
  ['http:x.png', 'http:x.png'],
  ['./http:x.png', './http:x.png'],
  ['C:\\a?b.png', 'C:\\a?b.png'],
])('%s is shown as %s', (source, shown) => {
  expect(shownSource(source)).toBe(shown);
  expect(shown).not.toMatch(/s3cret|s3c/);
});

test('addresses inside what an engine says', () => {
  const said =
    'error sending request for url (http://me:s3cret@127.0.0.1:1/a?s3cret): refused, "https://x/?s3cret"';
  expect(withShownAddresses(said)).toBe(
    'error sending request for url (http://127.0.0.1:1/a): refused, "https://x/"',
  );
});

test.each([
  ['https://h.example/a', true],
  ['data:,a', true],
  ['data:image/png;base64,AA', true],
  ['blob:nodedata:1', true],
  ['blob:https://h.example/1', true],
  ['blob:null/1', true],
  ['data:x.png', false],
  ['blob:x.png', false],
  ['https:/h.example/a', false],
])('whether %s is an address: %s', (source, is) => {
  expect(isAddress(source)).toBe(is);
});

test.each([
  ['.', 'http:x.png', './http:x.png'],
  ['', 'data:x.png', './data:x.png'],
  ['./', 'file:x.png', './file:x.png'],
  ['http:', 'x.png', './http:/x.png'],
  ['./', 'https:/h/x.png', './https:/h/x.png'],
  ['photos', 'http:x.png', 'photos/http:x.png'],
  ['/photos', 'http:x.png', '/photos/http:x.png'],
  ['.', 'a.png', 'a.png'],
])('a file found in %j, %s, is the path %s', (folder, name, path) => {
  expect(joinPath(folder, name)).toBe(path);
  expect(isAddress(path)).toBe(false);
});

test('what a terminal obeys is escaped', () => {
  const text = 'a\x1b[2Jb\x9bc\x7f\r\n\td\u202ee\u2066\u200f\u2028\ud800f\u{1f468}\u200d\u{1f467}é';
  expect(escapeControls(text)).toBe(
    'a\\x1b[2Jb\\x9bc\\x7f\\x0d\\x0a d\\x202ee\\x2066\\x200f\\x2028\\xd800f\u{1f468}\u200d\u{1f467}é',
  );
  const json = escapeJsonControls(JSON.stringify({ text }, null, 2));
  expect(escapeControls(json.replaceAll('\n', ''))).toBe(json.replaceAll('\n', ''));
  expect(JSON.parse(json)).toEqual({ text });
});
