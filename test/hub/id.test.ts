import { describe, expect, test } from '@jest/globals';
import { HubError } from '../../src/errors.js';
import { hubAddress, hubUrl, parseHubId, parseHubSource } from '../../src/hub/id.js';

test.each([
  ['google/vit-base-patch16-224', 'google/vit-base-patch16-224', 'main'],
  ['timm/deit_tiny_patch16_224.fb_in1k', 'timm/deit_tiny_patch16_224.fb_in1k', 'main'],
  ['0x/A', '0x/A', 'main'],
  ['a/b@v1.0', 'a/b', 'v1.0'],
  ['a/b@refs/pr/12', 'a/b', 'refs/pr/12'],
  [`a/b@${'0'.repeat(40)}`, 'a/b', '0'.repeat(40)],
])('%s', (text, name, revision) => {
  expect(parseHubId(text)).toEqual({ name, revision });
  expect(parseHubSource(text)).toEqual({ name, revision, file: undefined });
});

test.each([
  'https://huggingface.co/google/vit-base-patch16-224',
  'https://huggingface.co/google/vit-base-patch16-224/',
  'https://www.huggingface.co/google/vit-base-patch16-224',
])('the address of a page: %s', (text) => {
  expect(parseHubSource(text)).toEqual({
    name: 'google/vit-base-patch16-224',
    revision: 'main',
    file: undefined,
  });
});

test.each([
  ['https://huggingface.co/a/b/tree/v1', { name: 'a/b', revision: 'v1', file: undefined }],
  ['https://hf.co/a/b?x=y', { name: 'a/b', revision: 'main', file: undefined }],
  [
    'https://huggingface.co/a/b/blob/refs%2Fpr%2F1/w4/m.safetensors',
    { name: 'a/b', revision: 'refs/pr/1', file: 'w4/m.safetensors' },
  ],
])('the address of another page of a model: %s', (text, source) => {
  expect(parseHubSource(text)).toEqual(source);
});

test.each([
  ['hf://datasets/owner/name', 'a dataset'],
  ['hf://datasets/owner/name@v1/a.safetensors?token=s3cret', 'a dataset'],
  ['HF://Datasets/owner/name', 'a dataset'],
  ['datasets/squad', 'a dataset'],
  ['https://huggingface.co/datasets/owner/name', 'a dataset'],
  ['https://huggingface.co/datasets/squad?s3cret', 'a dataset'],
  ['hf://spaces/owner/name', 'a space'],
  ['hf://buckets/owner/name/a', 'a bucket'],
])('%s is refused as %s', (text, what) => {
  const found = (() => {
    try {
      return parseHubSource(text);
    } catch (error) {
      return error as Error;
    }
  })() as Error;
  expect(found).toMatchObject({ code: 'HUB_ID' });
  expect(found.message).toContain(`expected a model on the hub, owner/name, found ${what}: `);
  expect(found.message).not.toMatch(/s3cret/);
});

test.each([
  'https://huggingface.co/datasets/a/b/resolve/main/m.safetensors',
  'https://huggingface.co/a/b/resolve/main/x',
  'https://huggingface.co/a',
  'https://example.org/a/b',
  'https://huggingface.co.example.org/a/b',
])('another address is not one: %s', (text) => {
  expect(parseHubSource(text)).toBeUndefined();
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
  expect(parseHubSource(text)).toBeUndefined();
});

test.each([
  'models/deit.safetensors',
  'out/deit.PTH',
  'a/b.pt',
  'a/pytorch_model.bin',
  'a/model.onnx',
  'a/config.json',
])('a path with a mistake in it is not sent anywhere: %s', (path) =>
  expect(parseHubSource(path)).toBeUndefined(),
);

describe('hf://', () => {
  test.each([
    ['hf://a/b', 'main', undefined],
    ['hf://a/b@v1', 'v1', undefined],
    ['hf://a/b/model.safetensors', 'main', 'model.safetensors'],
    ['hf://a/b@v1/w4/a file#1.safetensors', 'v1', 'w4/a file#1.safetensors'],
    ['hf://a/b@refs%2Fpr%2f1/m', 'refs/pr/1', 'm'],
  ])('%s', (text, revision, file) => {
    expect(parseHubSource(text)).toEqual({ name: 'a/b', revision, file });
    if (file !== undefined) {
      const address = hubAddress({ name: 'a/b', revision }, file);
      expect(parseHubSource(address)).toEqual({ name: 'a/b', revision, file });
    }
  });

  test.each([
    'hf://',
    'hf://a',
    'hf:///a/b',
    'hf://a/',
    'hf://a/b/',
    'hf://a/b//c',
    'hf://a/b/../../c/d',
    'hf://a/b/./c',
    'hf://a/b@/c',
    'hf://a/b@..%2Fc/m',
    'hf://a/b\n',
  ])('nothing else: %j', (text) => {
    expect(() => parseHubSource(text)).toThrow(
      expect.objectContaining({
        code: 'HUB_ID',
        message: expect.stringContaining('expected hf://owner/name'),
      }),
    );
    expect(() => parseHubSource(text)).toThrow(HubError);
  });
});

test('where a browser finds a file', () => {
  expect(hubUrl(parseHubSource('a/b')!)).toBe('https://huggingface.co/a/b/resolve/main/model.safetensors');
  expect(hubUrl(parseHubSource('hf://a/b@refs%2Fpr%2F1/w 4/#1?.safetensors')!)).toBe(
    'https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/w%204/%231%3F.safetensors',
  );
});
