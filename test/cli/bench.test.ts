import { beforeAll, expect, test } from '@jest/globals';
import { load } from '../../src/index.js';
import { TINY_CONFIG, tinyModel } from '../support/tiny-model.js';
import { fqvit, Scratch, withInteger } from './support.js';

const QUICK = ['--rounds', '1', '--ms', '50'];
const scratch = new Scratch();
let integer: string;
let float: string;

beforeAll(async () => {
  ({ integer, float } = await withInteger(scratch));
});

test('--json: every tier, the float model, and one digest', async () => {
  const { code, stdout } = await fqvit(['bench', integer, '--reference', float, '--json', ...QUICK]);
  expect(code).toBe(0);
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({
    machine: { cpu: expect.any(String), cores: expect.any(Number), engine: 'node' },
    reference: float,
    tier: 'simd',
    threads: 1,
    rounds: 1,
    integer: { medianMs: expect.any(Number), minMs: expect.any(Number), runs: expect.any(Number) },
    float: { medianMs: expect.any(Number), minMs: expect.any(Number), runs: expect.any(Number) },
    digest: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  const kinds = report.contenders.map((row: { kind: string; tier: string }) => `${row.kind} ${row.tier}`);
  expect(kinds).toEqual(['float float', 'integer simd', 'integer scalar']);
  const model = await load(integer);
  const memory = report.contenders.find((row: { tier: string }) => row.tier === 'simd').wasmBytes;
  expect(memory).toBe(model.info.memoryBytes);
  model.dispose();
});

test('a bundled model by default, as a table and as a row of Markdown', async () => {
  const { code, stdout, stderr } = await fqvit(['bench', '--markdown', ...QUICK]);
  expect({ code, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, lines: 1 });
  expect(stdout).toMatch(
    /^\| .+ \| node [\d.]+ \| deit_cifar10 W8A8 \| [\d.]+ \| [\d.]+ \(simd, 1 thread\) \| /,
  );
  expect(stderr).toMatch(/^measuring/m);
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

test('refuses a float model of another architecture, and a float model in place of an integer one', async () => {
  const other = scratch.write('other.safetensors', tinyModel(TINY_CONFIG, { depth: 3 }));
  const mismatch = await fqvit(['bench', integer, '--reference', other, ...QUICK]);
  expect(mismatch).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/CHECKPOINT_ARCHITECTURE: .*expected depth .* found "3"/),
  });
  expect(await fqvit(['bench', float])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('fqvit quantize'),
  });
});
