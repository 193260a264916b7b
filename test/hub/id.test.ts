import { expect, test } from '@jest/globals';
import { isHubId, parseHubId } from '../../src/hub/id.js';

test.each([
  ['google/vit-base-patch16-224', 'google/vit-base-patch16-224', 'main'],
  ['timm/deit_tiny_patch16_224.fb_in1k', 'timm/deit_tiny_patch16_224.fb_in1k', 'main'],
  ['0x/A', '0x/A', 'main'],
  ['a/b@v1.0', 'a/b', 'v1.0'],
  ['a/b@refs/pr/12', 'a/b', 'refs/pr/12'],
  [`a/b@${'0'.repeat(40)}`, 'a/b', '0'.repeat(40)],
])('%s', (text, name, revision) => {
  expect(parseHubId(text)).toEqual({ name, revision });
  expect(isHubId(text)).toBe(true);
});

test.each([
  '',
  'name',
  'name@main',
  '/a',
  'a/',
  '/a/b',
  'a/b/c',
  './a',
  '../a',
  'a/..',
  'a/.',
  '~/a',
  'a/.git',
  'a/b.git',
  'a/b--c',
  'a--b/c',
  'a/b..c',
  'a/b.',
  'a/-b',
  'a\\b',
  'C:/a',
  'a/b c',
  'a/b\0',
  'a/b\n',
  'ä/b',
  `a/${'b'.repeat(97)}`,
  'https://huggingface.co/a/b',
  'data:a/b',
  'a/b?c',
  'a/b#c',
  'a/b@',
  'a/b@..',
  'a/b@../c',
  'a/b@x/../c',
  'a/b@/c',
  'a/b@c/',
  'a/b@.c',
  'a/b@c.lock',
  'a/b@c d',
  'a/b@c\\d',
  'a/b@c@d',
  `a/b@${'c/'.repeat(8)}c`,
])('not an id: %j', (text) => {
  expect(parseHubId(text)).toBeUndefined();
  expect(isHubId(text)).toBe(false);
});

test.each(['models/deit.safetensors', 'out/deit.PTH', 'a/b.pt', 'a/pytorch_model.bin', 'a/config.json'])(
  'a path with a mistake in it is not sent anywhere: %s',
  (path) => expect(isHubId(path)).toBe(false),
);

test('what exists is a path', () => {
  expect(isHubId('test/hub')).toBe(false);
  expect(isHubId('test/hubb')).toBe(true);
});
