import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { RuntimeError } from '../../src/errors.js';
import { type ByteSource, readBytes } from '../../src/platform/bytes.js';
import type { ReadOptions } from '../../src/platform/read-options.js';
import { serve } from '../support/loopback.js';

const content = Uint8Array.from({ length: 10_000 }, (_, i) => i % 251);

/** The RuntimeError `SOURCE` of a source that cannot be read, one line. */
async function refusal(source: unknown, options?: ReadOptions): Promise<string> {
  const error = await readBytes(source as ByteSource, options).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RuntimeError);
  const { code, message } = error as RuntimeError;
  expect(code).toBe('SOURCE');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these must not reach a terminal
  expect(message).not.toMatch(/[\u0000-\u001f]/);
  expect(message.length).toBeLessThan(300);
  return message;
}

describe('in memory', () => {
  test('bytes are taken as they are, without a copy', async () => {
    const { bytes, name } = await readBytes(content);
    expect(bytes).toBe(content);
    expect(name).toBe('bytes');
    const part = content.subarray(10, 20);
    expect((await readBytes(part)).bytes).toBe(part);
    expect((await readBytes(content.buffer)).bytes.buffer).toBe(content.buffer);
    expect((await readBytes(Buffer.from('abc'))).bytes).toEqual(Buffer.from('abc'));
  });

  test('a Blob, a File and a Response', async () => {
    expect(await readBytes(new Blob([content]))).toEqual({ bytes: content, name: 'blob' });
    expect(await readBytes(new File([content], 'a.bin'))).toEqual({ bytes: content, name: 'a.bin' });
    expect(await readBytes(new Response(content))).toEqual({ bytes: content, name: 'response' });
    expect((await readBytes(new Response(null))).bytes).toEqual(new Uint8Array(0));
  });

  test('a data URL, which messages do not repeat', async () => {
    const url = `data:application/octet-stream;base64,${Buffer.from(content).toString('base64')}`;
    expect(await readBytes(url)).toEqual({ bytes: content, name: 'data URL' });
    expect(await refusal(`data:;base64,${'*'.repeat(10_000)}`)).toMatch(/^data URL: expected an answer/);
  });

  test('a response that has been read, has failed or breaks off', async () => {
    const used = new Response('abc');
    await used.text();
    expect(await refusal(used)).toBe('response: expected an unread response, found one that has been read');
    const locked = new Response('abc');
    locked.body?.getReader();
    expect(await refusal(locked)).toContain('an unread response');
    expect(await refusal(new Response('no', { status: 503 }))).toBe(
      'response: expected status 200, found 503',
    );
    expect(await refusal(Response.error())).toContain('found 0');
    const broken = new ReadableStream({
      pull(controller) {
        controller.enqueue(new Uint8Array(7));
        controller.error(new Error('the line went dead'));
      },
    });
    expect(await refusal(new Response(broken))).toContain(
      'expected all bytes, found 7 and then Error: the line',
    );
  });

  test('a stream is read once', async () => {
    const stream = new Blob([content]).stream();
    const seen: unknown[] = [];
    const onProgress: ReadOptions['onProgress'] = (...progress) => seen.push(progress);
    expect(await readBytes(stream, { onProgress })).toEqual({ bytes: content, name: 'stream' });
    expect(seen).toEqual([[content.length, undefined]]);
    const held = new Blob([content]).stream();
    held.getReader();
    expect(await refusal(held)).toBe('stream: expected one that nobody reads, found one that is locked');
    expect(await refusal(new Blob([content]).stream(), { maxBytes: 3 })).toContain(
      'expected at most 3 bytes',
    );
  });

  test.each(['text', null, undefined, 5, new ArrayBuffer(4), new Uint16Array(4), { length: -5 }])(
    'a stream of what is no bytes: %p',
    async (chunk) => {
      const stream = new ReadableStream({ start: (controller) => controller.enqueue(chunk) });
      expect(await refusal(stream)).toBe(
        `stream: expected chunks that are Uint8Arrays, found ${Object.prototype.toString.call(chunk)}`,
      );
    },
  );

  test('a stream of nothing without end can be aborted', async () => {
    const nothing = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(0)) });
    const reading = readBytes(nothing, { signal: AbortSignal.timeout(20) });
    await expect(reading).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('a buffer that has been transferred', async () => {
    const buffer = new ArrayBuffer(4);
    structuredClone(buffer, { transfer: [buffer] });
    expect(await refusal(buffer)).toContain('found one that has been transferred');
  });

  test.each([
    [{ signal: null }, 'SIGNAL', 'signal: expected an AbortSignal, found [object Null]'],
    [{ signal: {} }, 'SIGNAL', 'signal: expected an AbortSignal, found [object Object]'],
    [{ onProgress: 5 }, 'PROGRESS', 'onProgress: expected a function, found [object Number]'],
  ])('options %j are refused', async (options, code, message) => {
    await expect(readBytes(content, options as never)).rejects.toMatchObject({
      name: 'UsageError',
      code,
      message,
    });
  });

  test.each([
    [null, '[object Null]'],
    [undefined, '[object Undefined]'],
    [5, '[object Number]'],
    [{ path: 'a' }, '[object Object]'],
    [['a.jpg'], '[object Array]'],
    [Symbol('a'), '[object Symbol]'],
    [new Float32Array(4), '[object Float32Array]'],
    [new Date(0), '[object Date]'],
  ])('nonsense: %p', async (source, found) => {
    expect(await refusal(source)).toBe(
      `source: expected bytes, a path, URL, Blob, Response or stream, found ${found}`,
    );
  });
});

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fqvit-'));
  const path = join(folder, 'a file#1.bin');
  beforeAll(() => writeFileSync(path, content));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('a path, a file URL, its text, in capitals', async () => {
    const url = pathToFileURL(path);
    for (const source of [path, url, url.href, url.href.replace('file:', 'FILE:')]) {
      const seen: unknown[] = [];
      const onProgress: ReadOptions['onProgress'] = (...progress) => seen.push(progress);
      expect(await readBytes(source, { onProgress })).toEqual({ bytes: content, name: String(source) });
      expect(seen).toEqual([[content.length, content.length]]);
    }
  });

  test('what is no readable file', async () => {
    const missing = join(folder, 'none');
    expect(await refusal(missing)).toBe(`${missing}: expected a readable file, found ENOENT`);
    expect(await refusal(folder)).toBe(`${folder}: expected a readable file, found EISDIR`);
    expect(await refusal('a\0b')).toBe('a\\0b: expected a readable file, found ERR_INVALID_ARG_VALUE');
    expect(await refusal('')).toMatch(/^"": expected a readable file/);
    expect(await refusal('file://%')).toContain('found ERR_INVALID_URL');
    expect(await refusal('file://elsewhere/a')).toMatch(/found E/);
    expect(await refusal(new URL('ftp://127.0.0.1/a'))).toContain('found ERR_INVALID_URL_SCHEME');
  });

  test('a pipe or device is refused unopened', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    expect(await refusal(pipe)).toBe(`${pipe}: expected a file, found a pipe or device`);
    expect(await refusal('/dev/null')).toBe('/dev/null: expected a file, found a pipe or device');
  });

  test('a file above the limit is refused unread', async () => {
    expect(await refusal(path, { maxBytes: 3 })).toBe(
      `${path}: expected at most 3 bytes, found at least ${content.length}`,
    );
  });

  test('an error of onProgress is not one of the file', async () => {
    const onProgress = () => {
      throw new TypeError('mine');
    };
    await expect(readBytes(path, { onProgress })).rejects.toThrow(new TypeError('mine'));
    await expect(readBytes(new Response(content), { onProgress })).rejects.toThrow(new TypeError('mine'));
  });
});

describe('HTTP', () => {
  let base = '';
  let close = () => {};
  beforeAll(async () => {
    ({ url: base, close } = await serve(({ url }, answer) => {
      if (url === '/whole') answer.setHeader('content-length', content.length).end(content);
      else if (url === '/chunked') {
        answer.write(content.subarray(0, 5));
        answer.end(content.subarray(5));
      } else if (url === '/gzip') answer.setHeader('content-encoding', 'gzip').end(gzipSync(content));
      else if (url === '/moved') answer.writeHead(302, { location: '/whole' }).end();
      else if (url === '/loop') answer.writeHead(302, { location: '/loop' }).end();
      else if (url === '/cut') {
        answer.setHeader('content-length', content.length);
        answer.write(content.subarray(0, 500), () => answer.destroy());
      } else if (url === '/hang') answer.write('a');
      else if (url === '/endless') {
        const more = () => !answer.destroyed && answer.write(content, () => setImmediate(more));
        more();
      } else answer.writeHead(404).end('not here');
    }));
  });
  afterAll(() => close());

  test.each(['/whole', '/chunked', '/gzip', '/moved'])('200 %s', async (path) => {
    const seen: [number, number | undefined][] = [];
    const { bytes, name } = await readBytes(base + path, {
      onProgress: (...progress) => seen.push(progress),
    });
    expect(bytes).toEqual(content);
    expect(name).toBe(base + path);
    expect(seen.at(-1)).toEqual([content.length, /whole|moved/.test(path) ? content.length : undefined]);
    expect(seen.map(([loaded]) => loaded)).toEqual(seen.map(([loaded]) => loaded).sort((a, b) => a - b));
    expect((await readBytes(new URL(base + path))).bytes).toEqual(content);
    expect((await readBytes(base.replace('http', 'HTTP') + path)).bytes).toEqual(content);
  });

  test('404, a redirect to itself, a cut connection, nobody there', async () => {
    expect(await refusal(`${base}/none`)).toBe(`${base}/none: expected status 200, found 404`);
    expect(await refusal(`${base}/loop`)).toContain('expected an answer');
    expect(await refusal(`${base}/cut`)).toMatch(/expected 10000 bytes, found 500 and then /);
    expect(await refusal('http://127.0.0.1:1/a')).toMatch(
      /^http:\/\/127\.0\.0\.1:1\/a: expected an answer, found /,
    );
    expect(await refusal('http://')).toContain('expected an answer');
  });

  test('an answer that does not end, or says that it is too long, is left at the limit', async () => {
    expect(await refusal(`${base}/endless`, { maxBytes: 1e6 })).toContain('at most 1000000 bytes');
    expect(await refusal(`${base}/whole`, { maxBytes: 9999 })).toBe(
      `${base}/whole: expected at most 9999 bytes, found at least 10000`,
    );
    expect((await readBytes(`${base}/whole`, { maxBytes: 1e4 })).bytes.length).toBe(1e4);
  });

  test('abort before and during', async () => {
    const reason = new Error('enough');
    await expect(readBytes(`${base}/whole`, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await expect(readBytes(content, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    for (const source of [`${base}/hang`, await fetch(`${base}/hang`)]) {
      const controller = new AbortController();
      const reading = readBytes(source, { signal: controller.signal });
      setTimeout(() => controller.abort(reason), 50);
      await expect(reading).rejects.toBe(reason);
    }
  });
});
