import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { CheckpointError, ImageError, RuntimeError, UsageError } from '../../src/errors.js';
import type { ImageSource } from '../../src/image/source.js';
import { type LoadOptions, load, type Model } from '../../src/model/model.js';
import { rankClasses } from '../../src/model/rank.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { formatValue } from '../../src/text/format-value.js';
import { randomPixels } from '../forward/float/support.js';
import { serve } from '../support/loopback.js';
import { refusal } from '../support/refusal.js';
import {
  EIGHTHS,
  tinyIntegerFile,
  UNIFORM,
  withLayer,
  withTensors,
  withValue,
} from '../support/tiny-integer.js';

const labels = ['ant', 'bee', 'cow', 'dog', 'eel', 'fox', 'gnu'];
const file = tinyIntegerFile({ classes: 7, config: { labels } });

const picture = (name: string) => fileURLToPath(new URL(`../image/fixtures/${name}`, import.meta.url));
const jpeg = picture('444.jpg');
const png = picture('png-2-8.png');
const raw = (seed: number, width = 13, height = 9) => ({
  width,
  height,
  data: randomPixels(width * height * 3, seed),
});

const models: Model[] = [];
async function loaded(source: Parameters<typeof load>[0] = file, options?: LoadOptions): Promise<Model> {
  const model = await load(source, options);
  models.push(model);
  return model;
}
afterEach(() => {
  for (const model of models.splice(0)) model.dispose();
});

/** The error of a call: one of fqvit's, of this class and code. */
describe('a loaded model', () => {
  test('describes itself', async () => {
    const { info } = await loaded();
    expect(info).toMatchObject({
      format: 'fqvit-integer',
      version: 2,
      architecture: { family: 'deit', imageSize: 8, classes: 7 },
      labels,
      recipe: { method: 'fq' },
      tier: 'simd',
      threads: 1,
      bytes: file.length,
    });
    expect(info.memoryBytes).toBeGreaterThan(65536);
    expect(info.memoryBytes % 65536).toBe(0);
    for (const inner of ['tensors', 'program', 'outputs', 'sha256']) expect(info).not.toHaveProperty(inner);
  });

  test('predictions are the softmax of the logits, best first, with their labels', async () => {
    const model = await loaded();
    const codes = await model.codes(raw(1));
    const logits = await model.logits(raw(1));
    const predictions = await model.classify(raw(1), { top: 7 });
    expect(codes).toBeInstanceOf(Uint8Array);
    // the quantiser of tiny-integer.ts
    expect(logits).toEqual(Float32Array.from(codes, (code) => 0.04 * (code - 120)));
    const sum = logits.reduce((total, logit) => total + Math.exp(logit), 0);
    expect(predictions.map(({ index }) => index)).toEqual(rankClasses(codes, 7));
    for (const { index, label, probability } of predictions) {
      expect(label).toBe(labels[index]);
      expect(probability).toBeCloseTo(Math.exp(logits[index]!) / sum, 12);
    }
    expect(new Set(codes).size).toBeGreaterThan(1);
  });

  test('equal logits rank by the lowest index', async () => {
    const equal = withTensors(file, (tensors) => {
      tensors.get('head.weight')!.data.fill(0);
      tensors.get('head.bias')!.data.fill(0);
    });
    const predictions = await (await loaded(equal)).classify(raw(1), { top: 3 });
    expect(predictions.map(({ index }) => index)).toEqual([0, 1, 2]);
    for (const { probability } of predictions) expect(probability).toBeCloseTo(1 / 7, 12);
  });

  test('the largest allowed scale still gives probabilities', async () => {
    const model = await loaded(
      withLayer(file, 'logits', (layer) => {
        layer.scale = 1e36;
      }),
    );
    const [best, ...rest] = await model.classify(raw(1), { top: 7 });
    expect(best!.probability).toBeGreaterThan(0);
    expect([best!, ...rest].reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 12);
    for (const logit of await model.logits(raw(1))) expect(Number.isFinite(logit)).toBe(true);
  });

  test.each([1, 2, 5, 7, 8, 1e9])('top %d', async (top) => {
    expect(await (await loaded()).classify(raw(1), { top })).toHaveLength(Math.min(top, 7));
  });

  test('gives five predictions by default', async () => {
    expect(await (await loaded()).classify(raw(1))).toHaveLength(5);
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', null, 2n])(
    'top %p is refused',
    async (top) => {
      const model = await loaded();
      const message = await refusal(model.classify(raw(1), { top: top as number }), UsageError, 'TOP');
      expect(message).toBe(`top: expected a positive integer, found ${formatValue(top)}`);
    },
  );

  test('takes one image or many', async () => {
    const model = await loaded();
    const one = await model.classify(png);
    const other = await model.classify(raw(2));
    expect(await model.classify([png, raw(2), png])).toEqual([one, other, one]);
    expect(await model.classify([])).toEqual([]);
  });
});

describe('the same bits', () => {
  test.each([
    ['log2', undefined],
    ['uniform', UNIFORM],
    ['eighths', EIGHTHS],
  ])('on both tiers, run after run, %s attention', async (_, recipe) => {
    const checkpoint = tinyIntegerFile({ classes: 50, grid: 3 }, recipe);
    const [scalar, simd] = [await loaded(checkpoint, { tier: 'scalar' }), await loaded(checkpoint)];
    for (const image of [png, jpeg, raw(1), raw(2, 1, 50)]) {
      const codes = await simd.codes(image);
      expect(await scalar.codes(image)).toEqual(codes);
      expect(await simd.codes(image)).toEqual(codes);
      expect(await scalar.logits(image)).toEqual(await simd.logits(image));
    }
  });

  test('overlapping calls give the same as sequential ones', async () => {
    const model = await loaded();
    const images = [png, jpeg, raw(1), raw(2), readFileSync(png), jpeg];
    const expected = [];
    for (const image of images) expected.push(await model.codes(image));
    expect(await Promise.all(images.map((image) => model.codes(image)))).toEqual(expected);
    const [a, b] = await Promise.all([model.classify(images), model.classify([...images].reverse())]);
    expect(b).toEqual([...a].reverse());
  });
});

describe('sources', () => {
  const folder = mkdtempSync(join(tmpdir(), 'fqvit-'));
  const path = join(folder, 'model.safetensors');
  let base = '';
  let close = () => {};
  beforeAll(async () => {
    writeFileSync(path, file);
    ({ url: base, close } = await serve(({ url }, answer) => {
      if (url === '/model') answer.setHeader('content-length', file.length).end(file);
      else if (url === '/image') answer.end(readFileSync(png));
      else if (url === '/moved') answer.writeHead(307, { location: '/model' }).end();
      else if (url === '/cut') {
        answer.setHeader('content-length', file.length);
        answer.write(file.subarray(0, 100), () => answer.destroy());
      } else if (url === '/hang') answer.write('a');
      else answer.writeHead(404).end();
    }));
  });
  afterAll(() => {
    close();
    rmSync(folder, { recursive: true });
  });

  test('takes a checkpoint from every kind of source', async () => {
    const expected = await (await loaded()).codes(raw(1));
    const sources: [string, Parameters<typeof load>[0]][] = [
      ['path', path],
      ['file URL', pathToFileURL(path)],
      ['text of a file URL', pathToFileURL(path).href],
      ['URL', new URL(`${base}/model`)],
      ['text of a URL', `${base}/model`],
      ['redirect', `${base}/moved`],
      ['ArrayBuffer', new Uint8Array(file).buffer],
      ['Blob', new Blob([new Uint8Array(file)])],
      ['Response', new Response(new Uint8Array(file))],
      ['answer', await fetch(`${base}/model`)],
    ];
    for (const [name, source] of sources) {
      expect([name, await (await loaded(source)).codes(raw(1))]).toEqual([name, expected]);
    }
  });

  test('takes an image from every kind of source', async () => {
    const model = await loaded();
    const bytes = new Uint8Array(readFileSync(png));
    const expected = await model.codes(bytes);
    const sources: [string, ImageSource][] = [
      ['path', png],
      ['file URL', pathToFileURL(png)],
      ['URL', `${base}/image`],
      ['data URL', `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`],
      ['Buffer', Buffer.from(bytes)],
      ['ArrayBuffer', bytes.buffer],
      ['Blob', new Blob([bytes])],
      ['File', new File([bytes], 'a.png')],
      ['Response', new Response(bytes)],
    ];
    for (const [name, source] of sources) expect([name, await model.codes(source)]).toEqual([name, expected]);
  });

  test('onProgress reports the loaded bytes', async () => {
    for (const [source, total] of [
      [path, file.length],
      [`${base}/model`, file.length],
      [new Response(new Uint8Array(file)), undefined],
    ] as const) {
      const seen: (number | undefined)[][] = [];
      await loaded(source, { onProgress: (...progress) => seen.push(progress) });
      expect(seen.at(-1)).toEqual([file.length, total]);
    }
  });

  test('refuses an unreadable image by name and goes on', async () => {
    const model = await loaded();
    const expected = await model.codes(raw(1));
    expect(await refusal(load(`${base}/none`), RuntimeError, 'SOURCE')).toContain(
      `${base}/none: expected status 200`,
    );
    expect(await refusal(load(`${base}/cut`), RuntimeError, 'SOURCE')).toContain('found 100 and then');
    expect(await refusal(load(join(folder, 'none')), RuntimeError, 'SOURCE')).toContain('found ENOENT');
    expect(await refusal(load(png), CheckpointError, 'CHECKPOINT_HEADER')).toContain(png);
    expect(await refusal(load(new File(['{}'], 'a.json')), CheckpointError, 'CHECKPOINT_TRUNCATED')).toMatch(
      /^a\.json/,
    );
    expect(await refusal(model.classify(`${base}/none`), RuntimeError, 'SOURCE')).toContain('found 404');
    expect(await refusal(model.classify(path), ImageError, 'IMAGE_FORMAT')).toContain(path);
    const half = readFileSync(png).subarray(0, 200);
    expect(await refusal(model.classify([raw(1), half]), ImageError, 'IMAGE_TRUNCATED')).toMatch(/^bytes: /);
    await refusal(model.classify(png, { maxPixels: 10 }), ImageError, 'IMAGE_TOO_LARGE');
    await refusal(model.classify(png, { maxPixels: Number.NaN }), ImageError, 'IMAGE_TOO_LARGE');
    for (const maxPixels of [null, '9', 9n, Symbol('nine'), {}] as never[]) {
      await refusal(model.classify(png, { maxPixels }), UsageError, 'MAX_PIXELS');
    }
    expect(await model.codes(raw(1))).toEqual(expected);
  });

  test.each([null, undefined, 7, {}, { width: 1, height: 1 }, Symbol('a'), () => {}])(
    'nonsense: %p',
    async (source) => {
      const model = await loaded();
      await refusal(load(source as string), RuntimeError, 'SOURCE');
      await refusal(model.classify(source as string), ImageError, 'IMAGE_SOURCE');
      await refusal(model.codes(source as string), ImageError, 'IMAGE_SOURCE');
    },
  );

  test('can be aborted before and while loading, while an image loads, and between images', async () => {
    const reason = new Error('enough');
    const model = await loaded();
    const aborted = AbortSignal.abort(reason);
    await expect(load(file, { signal: aborted })).rejects.toBe(reason);
    await expect(model.classify(raw(1), { signal: aborted })).rejects.toBe(reason);
    await expect(model.codes(raw(1), { signal: aborted })).rejects.toBe(reason);
    const during = (call: (signal: AbortSignal) => Promise<unknown>) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 50);
      return expect(call(controller.signal)).rejects.toBe(reason);
    };
    await during((signal) => load(`${base}/hang`, { signal }));
    await during((signal) => model.classify(`${base}/hang`, { signal }));
    await during((signal) => model.classify([raw(1), `${base}/hang`, raw(2)], { signal }));
    await during((signal) => model.classify(Array(100_000).fill(png), { signal }));
    await during((signal) => model.classify(Array(100_000).fill(raw(1)), { signal }));
    expect(await model.classify(raw(1))).toHaveLength(5);
  });
});

describe('raw pixels', () => {
  test('RGB, RGBA and ImageData give the same picture', async () => {
    const model = await loaded();
    const { width, height, data } = raw(3);
    const rgba = Uint8Array.from({ length: width * height * 4 }, (_, i) =>
      i % 4 === 3 ? i : data[Math.floor(i / 4) * 3 + (i % 4)]!,
    );
    const expected = await model.codes({ width, height, data });
    expect(await model.codes({ width, height, data: rgba })).toEqual(expected);
    const imageData = { width, height, data: new Uint8ClampedArray(rgba), colorSpace: 'srgb' };
    expect(await model.codes(imageData)).toEqual(expected);
    expect(await model.codes({ width, height, data: new Uint8ClampedArray(data) })).toEqual(expected);
    const inside = new Uint8Array(data.length + 5);
    inside.set(data, 5);
    expect(await model.codes({ width, height, data: inside.subarray(5) })).toEqual(expected);
  });

  test("takes pixels at the model's size", async () => {
    const model = await loaded();
    const pixels = randomPixels(8 * 8 * 3, 1);
    const uncropped = await loaded(withValue(file, ['preprocessing', 'cropPct'], 1));
    expect(model.codesOfPixels(pixels)).toEqual(await uncropped.codes({ width: 8, height: 8, data: pixels }));
    expect(model.logitsOfPixels(pixels)).toEqual(
      await uncropped.logits({ width: 8, height: 8, data: pixels }),
    );
    for (const wrong of [191, 193, 0, 256]) {
      expect(() => model.codesOfPixels(new Uint8Array(wrong))).toThrow(
        expect.objectContaining({
          code: 'PIXELS',
          message: expect.stringContaining(`8×8×3 = 192 bytes, found ${wrong}`),
        }),
      );
    }
    for (const wrong of [new Float32Array(192), Array(192).fill(0), null]) {
      expect(() => model.codesOfPixels(wrong as unknown as Uint8Array)).toThrow(
        expect.objectContaining({ name: 'UsageError', code: 'PIXELS' }),
      );
    }
  });

  test.each<[name: string, width: unknown, height: unknown, data: unknown]>([
    ['one byte short', 4, 4, new Uint8Array(47)],
    ['one byte long', 4, 4, new Uint8Array(65)],
    ['grey', 4, 4, new Uint8Array(16)],
    ['width NaN', Number.NaN, 4, new Uint8Array(48)],
    ['width negative', -4, 4, new Uint8Array(48)],
    ['both negative', -4, -4, new Uint8Array(48)],
    ['both negative, with alpha', -4, -4, new Uint8Array(64)],
    ['width fractional', 1.5, 2, new Uint8Array(9)],
    ['width fractional, with alpha', 0.25, 1, new Uint8Array(1)],
    ['width 0', 0, 4, new Uint8Array(0)],
    ['width infinite', Number.POSITIVE_INFINITY, 4, new Uint8Array(48)],
    ['width a text', '4', 4, new Uint8Array(48)],
    ['width undefined', undefined, 4, new Uint8Array(48)],
    ['width a BigInt', 4n, 4, new Uint8Array(48)],
    ['width a symbol', Symbol('four'), 4, new Uint8Array(48)],
    ['width 2^53', 2 ** 53, 2 ** 53, new Uint8Array(48)],
    ['floats', 4, 4, new Float32Array(48)],
    ['floats that are NaN', 4, 4, new Float32Array(48).fill(Number.NaN)],
    ['16 bits', 4, 4, new Uint16Array(48)],
    ['a list', 4, 4, Array(48).fill(0)],
    ['a text', 1, 1, 'abc'],
    ['nothing', 4, 4, undefined],
    ['an ArrayBuffer', 4, 4, new ArrayBuffer(48)],
  ])('%s', async (_, width, height, data) => {
    const model = await loaded();
    const image = { width, height, data } as ImageSource;
    expect(await refusal(model.classify(image), ImageError, 'IMAGE_PIXELS')).toMatch(
      /^pixels: expected .*, found /,
    );
  });
});

describe('modules and memory', () => {
  test("takes a tier's module, compiled or not, and refuses another tier's", async () => {
    const expected = await (await loaded()).codes(raw(1));
    for (const tier of ['scalar', 'simd'] as const) {
      for (const module of ['scalar', 'simd'] as const) {
        const bytes = await readWasm(module);
        for (const wasm of [bytes, bytes.buffer, new WebAssembly.Module(bytes)]) {
          expect(await (await loaded(file, { tier, wasm })).codes(raw(1))).toEqual(expected);
        }
      }
    }
  });

  test('takes a fetched module, served as WebAssembly or as bytes', async () => {
    const expected = await (await loaded()).codes(raw(1));
    const module = await readWasm('simd');
    const server = await serve(({ url }, answer) => {
      if (url === '/missing') answer.writeHead(404).end();
      else answer.writeHead(200, { 'content-type': url!.slice(1) }).end(module);
    });
    const streaming = jest.spyOn(WebAssembly, 'compileStreaming');
    for (const type of ['application/wasm', 'application/octet-stream']) {
      const wasm = await fetch(`${server.url}/${type}`);
      expect(await (await loaded(file, { wasm })).codes(raw(1))).toEqual(expected);
    }
    const url = new URL(`${server.url}/application/wasm`);
    expect(await (await loaded(file, { wasm: url })).codes(raw(1))).toEqual(expected);
    expect(streaming).toHaveBeenCalledTimes(2);
    streaming.mockRestore();
    const nowhere = new URL(`${server.url}/missing`);
    expect(await refusal(load(file, { wasm: nowhere }), RuntimeError, 'WASM_MISSING')).toBe(
      `${nowhere}: expected a WebAssembly module, found status 404`,
    );
    const missing = await fetch(`${server.url}/missing`);
    const message = await refusal(load(file, { wasm: missing }), RuntimeError, 'WASM_MODULE');
    expect(message).toContain('status 404');
    server.close();
  });

  test('takes a module at a file: or data: URL', async () => {
    const expected = await (await loaded()).codes(raw(1));
    const base64 = Buffer.from(await readWasm('scalar')).toString('base64');
    for (const wasm of [
      new URL('../../wasm/fqvit.scalar.wasm', import.meta.url),
      new URL(`data:application/wasm;base64,${base64}`),
    ]) {
      expect(await (await loaded(file, { wasm, tier: 'scalar' })).codes(raw(1))).toEqual(expected);
    }
    const none = new URL('../../wasm/none.wasm', import.meta.url);
    expect(await refusal(load(file, { wasm: none }), RuntimeError, 'SOURCE')).toContain('found ENOENT');
  });

  test('refuses another kind of module', async () => {
    const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    for (const wasm of [await readWasm('float'), empty, new Uint8Array(4), 'module.wasm']) {
      await refusal(load(file, { wasm: wasm as BufferSource }), RuntimeError, 'WASM_MODULE');
    }
  });

  test('refuses an unknown tier', async () => {
    const message = await refusal(load(file, { tier: 'avx' as 'simd' }), UsageError, 'TIER');
    expect(message).toBe('tier: expected one of relaxed, simd, scalar, found "avx"');
  });

  test('refuses if memory cannot grow', async () => {
    const engine = jest.spyOn(WebAssembly, 'Memory').mockImplementation(() => {
      throw new RangeError('could not allocate memory');
    });
    const message = await refusal(load(file), RuntimeError, 'MEMORY');
    expect(message).toMatch(/the model needs \d+ bytes of WebAssembly memory/);
    engine.mockRestore();
    expect(await (await loaded()).classify(raw(1))).toHaveLength(5);
  });
});

describe('dispose', () => {
  test('refuses later calls, keeps the info, and leaves other models alone', async () => {
    const [model, other] = [await loaded(), await loaded()];
    const pixels = new Uint8Array(192);
    model.dispose();
    model.dispose();
    const calls = [
      model.classify(raw(1)),
      model.classify([raw(1)]),
      model.classify([]),
      model.classify('no such file'),
      model.logits(raw(1)),
      model.codes(raw(1)),
    ];
    for (const call of calls)
      expect(await refusal(call, UsageError, 'DISPOSED')).toContain('has been disposed');
    expect(() => model.codesOfPixels(pixels)).toThrow(UsageError);
    expect(() => model.logitsOfPixels(pixels)).toThrow(UsageError);
    expect(model.info.labels).toEqual(labels);
    expect(await other.classify(raw(1))).toHaveLength(5);
  });

  test('works while an image is being read', async () => {
    const model = await loaded();
    const running = model.classify(png);
    model.dispose();
    await refusal(running, UsageError, 'DISPOSED');
  });
});
