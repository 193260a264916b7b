import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { beforeAll, expect, test } from '@jest/globals';
import { noise } from '../../src/bench/generated.js';
import { load } from '../../src/index.js';
import { sha256 } from '../../src/platform/sha256.js';
import { withDescription } from '../support/tiny-integer.js';
import { TINY_CONFIG, tinyModel } from '../support/tiny-model.js';
import { fqvit, Scratch, withInteger } from './support.js';

const QUICK = ['--rounds', '1', '--ms', '50'];
const scratch = new Scratch();
let integer: string;
let float: string;

beforeAll(async () => {
  ({ integer, float } = await withInteger(scratch));
});

test('what other code prints does not count as an answer', async () => {
  scratch.write('preload.cjs', "console.log('{}')");
  const env = { NODE_OPTIONS: `--require ${scratch.at('preload.cjs')}` };
  const { code, stdout } = await fqvit(['bench', integer, '--json', '--rounds', '1', '--ms', '1'], { env });
  expect(code).toBe(0);
  expect(stdout).toContain('"speedUp"');
});

test('names a folder for temporary files that is missing', async () => {
  const env = { TMPDIR: scratch.at('nowhere') };
  expect(await fqvit(['bench', integer], { env })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`${scratch.at('nowhere')}: expected a folder with room`),
  });
});

test('--json: every tier, the float model, and one digest', async () => {
  const { code, stdout } = await fqvit(['bench', integer, '--reference', float, '--json', ...QUICK]);
  expect(code).toBe(0);
  const report = JSON.parse(stdout);
  const times = { medianMs: expect.any(Number), minMs: expect.any(Number), runs: expect.any(Number) };
  const model = await load(integer, { tier: 'simd' });
  expect(report).toEqual({
    machine: expect.objectContaining({ cpu: expect.any(String), engine: 'node', fqvit: expect.any(String) }),
    model: { source: integer, name: 'deit_custom', method: 'best', weightBits: 8, activationBits: 8 },
    tier: 'simd',
    threads: 1,
    integer: times,
    float: { weights: float, ...times },
    speedUp: report.contenders[1].speedUp,
    digest: await sha256(new Uint8Array(model.codesOfPixels(noise(16)).buffer)),
    rounds: 1,
    warmUpMs: 50,
    measuredMs: 50,
    contenders: [expect.any(Object), expect.any(Object), expect.any(Object)],
  });
  const rows: { kind: string; tier: string }[] = report.contenders;
  expect(rows.map(({ kind, tier }) => `${kind} ${tier}`)).toEqual([
    'float float',
    'integer simd',
    'integer scalar',
  ]);
  const { median, least, greatest } = report.speedUp;
  expect(median).toBeCloseTo(report.float.medianMs / report.integer.medianMs, 10);
  expect([least, greatest]).toEqual([median, median]);
  expect(report.contenders[1].wasmBytes).toBe(model.info.memoryBytes);
  model.dispose();
});

test('a table of a bundled model, which says that the float weights are generated', async () => {
  const { code, stdout, stderr } = await fqvit(['bench', '--threads', '2', ...QUICK]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^deit_cifar10: deit_cifar10, best \(/);
  expect(stdout).toMatch(/^float32, generated weights +[\d.]+ +1\.00 +1\.00-1\.00 /m);
  for (const row of ['simd', 'simd, 2 threads', 'scalar'])
    expect(stdout).toMatch(new RegExp(`^integer, ${row} +[\\d.]+ +[\\d.]+ +[\\d.]+-[\\d.]+ `, 'm'));
  expect(stdout).toMatch(/^codes +the same in every integer row; SHA-256 [0-9a-f]{64}$/m);
  expect(stderr).toMatch(/^measuring 4 measurements$/m);
});

test('--markdown: one row', async () => {
  const { code, stdout } = await fqvit(['bench', integer, '--markdown', ...QUICK]);
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^\| [^|]+; node [\d.]+ \| deit_custom W8A8 \| [\d.]+ \(generated weights\) \| [\d.]+ \(simd, 1 thread\) \| [\d.]+ \([\d.]+-[\d.]+\) \|\n$/,
  );
});

test('an interrupt ends the process that measures, and leaves no file', async () => {
  mkdirSync(scratch.at('tmp'));
  const env = { TMPDIR: scratch.at('tmp') };
  const run = await fqvit(['bench', integer, '--ms', '60000'], { env, interrupt: 'SIGTERM' });
  expect(run).toMatchObject({ code: 143, stdout: '' });
  expect(readdirSync(scratch.at('tmp'))).toEqual([]);
  const isMeasuring = () => execFileSync('ps', ['-ewwo', 'args']).includes(scratch.at('tmp'));
  for (let tries = 0; isMeasuring() && tries < 20; tries++) await setTimeout(50);
  expect(isMeasuring()).toBe(false);
});

test.each([
  ['--rounds 0', ['--rounds', '0'], 'option --rounds: expected an integer from 1 to 1000, found "0"'],
  ['--threads 65', ['--threads', '65'], 'option --threads: expected an integer from 1 to 64, found "65"'],
  ['--weights without --reference', ['--weights', 'ema'], '--weights: expected --reference with it'],
  ['--markdown with --json', ['--markdown', '--json'], '--markdown: expected it without --json'],
])('refuses %s', async (_, options, message) => {
  const { code, stderr } = await fqvit(['bench', ...options]);
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
});

test('refuses to generate a float model of other layers', async () => {
  const file = withDescription(scratch.read('integer.safetensors'), ({ architecture }) => {
    Object.assign(architecture, { depth: 4096, dim: 2 ** 20 });
  });
  const { code, stderr } = await fqvit(['bench', scratch.write('other-layers.safetensors', file), ...QUICK]);
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: expect.stringMatching(
      /CHECKPOINT_ARCHITECTURE: .*other-layers\.safetensors: expected the layers of its architecture, .*--reference$/m,
    ),
  });
});

test('refuses a float model of another architecture, and a float model in place of an integer one', async () => {
  const other = scratch.write('other.safetensors', tinyModel(TINY_CONFIG, { depth: 3 }));
  const mismatch = await fqvit(['bench', integer, '--reference', other, ...QUICK]);
  expect(mismatch).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      /CHECKPOINT_ARCHITECTURE: .*other\.safetensors: depth: expected 2, as the integer model has, found 3/,
    ),
  });
  expect(await fqvit(['bench', float])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('fqvit quantize'),
  });
});
