import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type FloatModel, readFloatModel } from '../../src/checkpoint/float/model.js';
import { readFloatSource } from '../../src/cli/float-source.js';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { readPixels } from '../../src/image/source.js';

const FIXTURES = 'test/conformance/fixtures';
const wasm = readFileSync('wasm/fqvit.float.wasm');

interface Expected {
  /** For the pattern in the model's image size. Features if the model has no head. */
  readonly logits: readonly number[];
  /** The pattern of 37×23 pixels, resized and cropped by the library, in base64. */
  readonly photo?: string;
  /** Present if the library writes no config. */
  readonly config?: object;
}

/** The same pattern as in `fixtures.py`, uint8 [height, width, 3]. */
function pattern(width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(3 * width * height);
  pixels.forEach((_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
    pixels[i] = 31 * x + 17 * y + 73 * c + 5 * x * y;
  });
  return pixels;
}

async function read(kind: string, { config }: Expected): Promise<FloatModel> {
  const folder = join(FIXTURES, kind);
  const file = readdirSync(folder).find((name) => name.endsWith('.pth'));
  const { bytes, path, options } = await readFloatSource(file === undefined ? folder : join(folder, file));
  return readFloatModel(bytes, { file: path, ...options, ...(config && { config }) });
}

/** The logits, or the features of a model without a head. */
async function resultOf(model: FloatModel): Promise<Float32Array> {
  const { imageSize, classes } = model.architecture;
  const runner = await FloatRunner.create(model, { wasm });
  let last = new Float32Array();
  const keep = (_: string, values: Float32Array) => {
    last = values.slice();
  };
  const [logits] = runner.run([pattern(imageSize, imageSize)], keep);
  runner.dispose();
  return classes > 0 ? logits! : last;
}

describe.each(readdirSync(FIXTURES))('%s', (kind) => {
  const expected: Expected = JSON.parse(readFileSync(join(FIXTURES, kind, 'expected.json'), 'utf8'));
  const { logits, photo } = expected;

  test("computes the library's logits", async () => {
    const found = await resultOf(await read(kind, expected));
    expect(found.length).toBe(logits.length);
    const mean = logits.reduce((sum, value) => sum + value, 0) / logits.length;
    const deviation = Math.sqrt(logits.reduce((sum, value) => sum + (value - mean) ** 2, 0) / logits.length);
    const largest = logits.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i]!)), 0);
    expect(largest / deviation).toBeLessThanOrEqual(1e-3);
  });

  if (photo === undefined) return;
  test('resizes and crops a photo as the library does', async () => {
    const { preprocessing } = await read(kind, expected);
    const pixels = await readPixels({ width: 37, height: 23, data: pattern(37, 23) }, preprocessing, {});
    expect(Buffer.from(pixels).toString('base64')).toBe(photo);
  });
});
