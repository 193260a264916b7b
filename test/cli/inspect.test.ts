import { beforeAll, describe, expect, test } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer/model.js';
import { load } from '../../src/index.js';
import { type Json, tinySwinIntegerFile } from '../support/tiny-integer.js';
import { TINY_CONFIG, tinyModel } from '../support/tiny-model.js';
import { fqvit, Scratch, withInteger } from './support.js';

const scratch = new Scratch();
let integer: string;
let float: string;

beforeAll(async () => {
  ({ integer, float } = await withInteger(scratch));
});

test('summarises an integer checkpoint', async () => {
  const { code, stdout, stderr } = await fqvit(['inspect', integer]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const line of [
    /^kind +integer checkpoint \(fqvit-integer version 2\)$/m,
    /^sizes +image 16, patch 8, dim 16, depth 2, heads 2, MLP 32, 3 classes$/m,
    /^preprocessing +bicubic, crop 1, mean 0\.485, 0\.456, 0\.406, std 0\.229, 0\.224, 0\.225$/m,
    /^labels +3: red, green, blue$/m,
    /^method +best \(8-bit weights, 8-bit activations, ranges searched, power-of-two factors on, 7-bit log2 attention\)$/m,
    /^calibration +6 images, seed 0$/m,
    /^size +\d+\.\d+ kB \(weights \d+\.\d+ kB\)$/m,
    /^memory +\S+ [kM]B when loaded \(activations \S+ [kM]?B, scratch \S+ [kM]?B\)$/m,
    /^work +[\d,]+ multiply-accumulates in 30 steps$/m,
    /^factors +0: .* of 80 channels$/m,
  ]) {
    expect(stdout).toMatch(line);
  }
  expect(stdout).not.toMatch(/blocks\.1/);
  expect(stdout).toMatch(
    /^--plan lists every step of a forward pass, --tensors every tensor and quantiser\.$/m,
  );
});

test('shows squashing, which crops nothing of a wide picture', async () => {
  const file = scratch.write('squashing.st', tinyModel({ ...TINY_CONFIG, crop_mode: 'squash' }));
  expect((await fqvit(['inspect', file])).stdout).toMatch(
    /^preprocessing +bicubic, squashed to a square, crop 1, /m,
  );
});

test('--json prints everything', async () => {
  const { code, stdout } = await fqvit(['inspect', integer, '--json']);
  expect(code).toBe(0);
  const report = JSON.parse(stdout);
  const bytes = scratch.read('integer.safetensors');
  const { architecture, preprocessing, recipe, tensors, program, outputs, sha256 } = readIntegerModel(bytes);
  const { info } = await load(bytes);
  const scaleOf = (name: string) => {
    const { scale, zeroPoint } = program.activations.get(name)!;
    return { scale, zeroPoint };
  };
  expect(report).toMatchObject({
    kind: 'integer',
    file: integer,
    bytes: bytes.length,
    memoryBytes: info.memoryBytes,
    format: 'fqvit-integer',
    version: 2,
    architecture,
    preprocessing,
    recipe,
    layers: program.layers,
    outputs,
    sha256,
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
  expect(report.quantizers.map(({ name }: { name: string }) => name)).toEqual(
    [...program.activations].flatMap(([name, { element }]) =>
      element === 'codes' || element === 'uniform' ? [name] : [],
    ),
  );
  const stem = report.quantizers.find(({ name }: { name: string }) => name === 'stem.out');
  expect(stem).toEqual({ name: 'stem.out', ...scaleOf('stem.out'), factors: expect.any(Array) });
  expect(stem.factors.reduce((sum: number, count: number) => sum + count, 0)).toBe(16);
  const logits = report.quantizers.find(({ name }: { name: string }) => name === 'logits');
  expect(logits).toEqual({ name: 'logits', ...scaleOf('logits') });
});

/** A row of the table of `--plan`. */
interface PlanRow {
  output: string;
  kernel: string;
  shape: string;
  numbers: number[];
}

function planRows(stdout: string): PlanRow[] {
  const lines = stdout.trimEnd().split('\n');
  const header = lines.findIndex((line) => /^step +kernel +shape +MACs +bytes +scratch$/.test(line));
  expect(header).toBeGreaterThan(0);
  return lines.slice(header + 1).map((line) => {
    const [, output, kernel, shape, numbers] = /^(\S+) +(\w+) +(\[\d+, \d+\]) +(.*)$/.exec(line)!;
    return {
      output: output!,
      kernel: kernel!,
      shape: shape!,
      numbers: numbers!.split(/ +/).map((count) => Number(count.replaceAll(',', ''))),
    };
  });
}

/**
 * Multiply-accumulates of a block: k and v for all tokens; q, projection, q·kᵀ, p·v and the MLP for
 * `queries` tokens.
 */
function blockMacs(tokens: number, dim: number, mlp: number, window: number, queries = tokens): number {
  return 2 * tokens * dim ** 2 + queries * dim * (2 * dim + 2 * window + 2 * mlp);
}

const swinFile = () => scratch.write('swin.safetensors', tinySwinIntegerFile());

describe('--plan', () => {
  test.each([
    // 2×2 patches of 8×8 pixels and a class token; the last block and the head compute only that
    [
      'DeiT',
      () => integer,
      4 + 2 * 12 + 2,
      4 * 192 * 16 + blockMacs(5, 16, 32, 5) + blockMacs(5, 16, 32, 5, 1) + 16 * 3,
    ],
    // 8×8 patches of 2×2 pixels; windows of 16 tokens; the second stage has one window
    [
      'Swin',
      swinFile,
      3 + 4 * 13 + 2 + 3,
      64 * 12 * 16 + 2 * blockMacs(64, 16, 32, 16) + 16 * 64 * 32 + 2 * blockMacs(16, 32, 64, 16) + 32 * 3,
    ],
  ] as const)(
    '%s: every step, in columns, and the multiply-accumulates add up',
    async (_, file, count, macs) => {
      const { code, stdout, stderr } = await fqvit(['inspect', file(), '--plan']);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const rows = planRows(stdout);
      const { plan } = JSON.parse((await fqvit(['inspect', file(), '--json'])).stdout);
      expect(rows).toEqual(
        plan.steps.map((step: Json) => ({
          output: step.output,
          kernel: step.kernel,
          shape: `[${step.shape.join(', ')}]`,
          numbers: [step.macs, step.bytes, step.scratchBytes],
        })),
      );
      expect(rows).toHaveLength(count);
      expect(rows.reduce((sum, { numbers }) => sum + numbers[0]!, 0)).toBe(macs);
      expect(plan.macs).toBe(macs);
      expect(plan.scratchBytes).toBeGreaterThanOrEqual(Math.max(...rows.map(({ numbers }) => numbers[2]!)));
      expect(rows.at(-1)).toMatchObject({ output: 'logits', kernel: 'linear', shape: '[1, 3]' });
      expect(stdout).not.toMatch(/--plan lists/);
    },
  );

  test('aligns numbers right', async () => {
    const { stdout } = await fqvit(['inspect', swinFile(), '--plan']);
    const table = stdout.slice(stdout.indexOf('\nstep ')).trim().split('\n');
    expect(new Set(table.map((line) => line.length)).size).toBe(1);
  });

  test('is ignored for a float checkpoint, with a warning', async () => {
    const run = await fqvit(['inspect', float, '--plan']);
    expect(run).toMatchObject({ code: 0, stdout: expect.stringMatching(/^kind +float checkpoint$/m) });
    expect(run.stdout).not.toMatch(/MACs/);
  });
});

test('--tensors prints the tables', async () => {
  const { stdout } = await fqvit(['inspect', integer, '--tensors']);
  expect(stdout).toMatch(/^tensor +dtype +shape +bytes +bits$/m);
  expect(stdout).toMatch(/^blocks\.1\.mlp\.fc1\.weight +I8 +\[32, 16\] +512 +8$/m);
  expect(stdout).toMatch(/^stem\.out +\S+ +\d+ +\d+, \d+, \d+, \d+$/m);
  expect(stdout).toMatch(
    /^blocks\.0\.attn\.scores +scores +blocks\.0\.attn\.qkv\.out +heads 2, multiplier \d+, left \d+, right \d+$/m,
  );
});

test('shows the maps of a Swin', async () => {
  const { stdout } = await fqvit(['inspect', swinFile(), '--plan']);
  expect(stdout).toMatch(
    /^sizes +image 16, patch 2, dim 16, depths 2, 2, heads 2, 4, MLP 32, window 4, 3 classes$/m,
  );
  expect(stdout).toMatch(/^maps +8×8×16, 4×4×32$/m);
  expect(stdout).toMatch(/^layers\.0\.blocks\.1\.norm1\.out +layernorm_windows +\[64, 16\] +0 /m);
});

test('a reader that stops early is not an error', async () => {
  const { code, stdout, stderr } = await fqvit(['inspect', integer, '--json'], { pipe: '| head -c 1' });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '{', stderr: '' });
});

test('describes a float checkpoint and how to quantise it', async () => {
  const run = await fqvit(['inspect', float]);
  expect(run).toMatchObject({ code: 0, stderr: '' });
  expect(run.stdout).toMatch(/^kind +float checkpoint$/m);
  expect(run.stdout).toMatch(/^architecture +deit_custom \(deit\)$/m);
  expect(run.stdout).toMatch(/^parameters +[\d,]+$/m);
  expect(run.stdout).toMatch(/fqvit quantize .*float\.safetensors \[--calibration DIR\] -o OUT$/m);

  expect(await fqvit(['inspect', float, '--plan'])).toEqual({
    ...run,
    stderr: 'fqvit: warning: --plan is ignored: expected an integer checkpoint, found a float one\n',
  });

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

test('warns of guesses about a float checkpoint', async () => {
  const bare = scratch.write('bare.st', tinyModel({ num_heads: 2 }));
  const run = await fqvit(['inspect', bare]);
  expect(run).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(/^fqvit: warning: neither the file nor --arch/),
  });
});

test('refuses damaged and foreign files', async () => {
  const whole = scratch.read('integer.safetensors');
  scratch.write('cut.st', whole.subarray(0, whole.length - 5));
  const flipped = whole.slice();
  flipped[flipped.length - 1]! ^= 1;
  scratch.write('flipped.st', flipped);
  scratch.write('empty.st', '');
  scratch.write('page.st', '<html></html>');
  for (const [name, message] of [
    ['cut.st', /^fqvit: CHECKPOINT_TRUNCATED: .*cut\.st: /],
    ['flipped.st', /^fqvit: MODEL_DIGEST: .*flipped\.st: .* the file is damaged\n$/],
    ['empty.st', /^fqvit: CHECKPOINT_\w+: .*empty\.st: /],
    ['page.st', /^fqvit: CHECKPOINT_FORMAT: .*page\.st: .*a web page/],
    ['photos/nothing', /^fqvit: SOURCE: /],
  ] as const) {
    const run = await fqvit(['inspect', scratch.at(name), '--json']);
    expect(run).toMatchObject({ code: 1, stdout: '', stderr: expect.stringMatching(message) });
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
  }
});
