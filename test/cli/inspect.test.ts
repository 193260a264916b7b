import { beforeAll, expect, test } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer-model.js';
import { load } from '../../src/index.js';
import { tinyModel } from '../support/tiny-model.js';
import { fqvit, Scratch, withInteger } from './support.js';

const scratch = new Scratch();
let integer: string;
let float: string;

beforeAll(async () => {
  ({ integer, float } = await withInteger(scratch));
});

test('an integer checkpoint in short', async () => {
  const { code, stdout, stderr } = await fqvit(['inspect', integer]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const line of [
    /^kind +integer checkpoint \(fqvit-integer version 1\)$/m,
    /^sizes +image 16, patch 8, dim 16, depth 2, heads 2, MLP 32, 3 classes$/m,
    /^preprocessing +bicubic, crop 1, mean 0\.485, 0\.456, 0\.406, std 0\.229, 0\.224, 0\.225$/m,
    /^labels +3: red, green, blue$/m,
    /^method +fq \(observer minmax, power-of-two factors on, 4-bit log2 attention\)$/m,
    /^calibration +6 images, seed 0$/m,
    /^size +\d+\.\d+ kB, of it int8 weights \d+\.\d+ kB$/m,
    /^memory +\d+(\.\d+)? [kM]B when loaded$/m,
    /^factors +0: .* of 80 channels$/m,
  ]) {
    expect(stdout).toMatch(line);
  }
  expect(stdout).not.toMatch(/blocks\.1/);
});

test('--json: all of it', async () => {
  const { code, stdout } = await fqvit(['inspect', integer, '--json']);
  expect(code).toBe(0);
  const report = JSON.parse(stdout);
  const bytes = scratch.read('integer.safetensors');
  const { architecture, preprocessing, recipe, tensors, quantizers, steps } = readIntegerModel(bytes);
  const { info } = await load(bytes);
  expect(report).toMatchObject({
    kind: 'integer',
    file: integer,
    bytes: bytes.length,
    memoryBytes: info.memoryBytes,
    format: 'fqvit-integer',
    version: 1,
    architecture,
    preprocessing,
    recipe,
    labels: ['red', 'green', 'blue'],
  });
  expect(report.tensors.map(({ name }: { name: string }) => name)).toEqual([...tensors.keys()]);
  expect(report.tensors).toContainEqual({
    name: 'blocks.1.mlp.fc1.weight',
    dtype: 'I8',
    shape: [32, 16],
    bytes: 512,
    bits: 8,
  });
  const weights = report.tensors.filter(({ dtype }: { dtype: string }) => dtype === 'I8');
  expect(report.weightBytes).toBe(weights.reduce((sum: number, t: { bytes: number }) => sum + t.bytes, 0));
  expect(report.quantizers.map(({ name }: { name: string }) => name)).toEqual([...quantizers.keys()]);
  const stem = report.quantizers.find(({ name }: { name: string }) => name === 'stem.out');
  expect(stem).toEqual({ name: 'stem.out', ...quantizers.get('stem.out'), factors: expect.any(Array) });
  expect(stem.factors.reduce((sum: number, count: number) => sum + count, 0)).toBe(16);
  const logits = report.quantizers.find(({ name }: { name: string }) => name === 'logits');
  expect(logits).toEqual({ name: 'logits', ...quantizers.get('logits') });
  expect(report.steps).toEqual([...steps].map(([name, integers]) => ({ name, integers })));
});

test('--tensors: the tables', async () => {
  const { stdout } = await fqvit(['inspect', integer, '--tensors']);
  expect(stdout).toMatch(/^tensor +dtype +shape +bytes +bits$/m);
  expect(stdout).toMatch(/^blocks\.1\.mlp\.fc1\.weight +I8 +\[32, 16\] +512 +8$/m);
  expect(stdout).toMatch(/^stem\.out +\S+ +\d+ +\d+, \d+, \d+, \d+$/m);
  expect(stdout).toMatch(/^blocks\.0\.attn\.scores +multiplier \d+, left \d+, right \d+$/m);
});

test('a reader that has seen enough is no error', async () => {
  const { code, stdout, stderr } = await fqvit(['inspect', integer, '--json'], { pipe: '| head -c 1' });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '{', stderr: '' });
});

test('a float checkpoint: what it is, and how to quantise it', async () => {
  const run = await fqvit(['inspect', float]);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^kind +float checkpoint$/m);
  expect(run.stdout).toMatch(/^architecture +deit_custom \(deit\)$/m);
  expect(run.stdout).toMatch(/^parameters +[\d,]+$/m);
  expect(run.stdout).toMatch(/fqvit quantize .*float\.safetensors --calibration DIR -o OUT$/m);

  const json = JSON.parse((await fqvit(['inspect', float, '--json'])).stdout);
  expect(json).toMatchObject({
    kind: 'float',
    file: float,
    bytes: tinyModel().length,
    labels: ['red', 'green', 'blue'],
  });
  expect(json.architecture).toMatchObject({ family: 'deit', dim: 16, heads: 2 });
  expect(json.tensors).toContainEqual({
    name: 'blocks.1.mlp.fc1.weight',
    dtype: 'F32',
    shape: [32, 16],
    bytes: 2048,
    bits: 32,
  });
  const elements = json.tensors.reduce((sum: number, t: { bytes: number }) => sum + t.bytes / 4, 0);
  expect(json.parameters).toBe(elements);
});

test('what was guessed of a float checkpoint is said', async () => {
  const bare = scratch.write('bare.st', tinyModel({ num_heads: 2 }));
  const run = await fqvit(['inspect', bare]);
  expect(run).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^fqvit: warning: neither the file nor --arch/),
  });
});

test('damaged and foreign files', async () => {
  const whole = scratch.read('integer.safetensors');
  scratch.write('cut.st', whole.subarray(0, whole.length - 5));
  scratch.write('empty.st', '');
  scratch.write('page.st', '<html></html>');
  for (const [name, message] of [
    ['cut.st', /^fqvit: CHECKPOINT_TRUNCATED: .*cut\.st: /],
    ['empty.st', /^fqvit: CHECKPOINT_\w+: .*empty\.st: /],
    ['page.st', /^fqvit: CHECKPOINT_FORMAT: .*page\.st: .*a web page/],
    ['photos/nothing', /^fqvit: SOURCE: /],
  ] as const) {
    const run = await fqvit(['inspect', scratch.at(name), '--json']);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
  }
});
