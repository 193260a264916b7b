import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { load } from '../../src/index.js';
import { Scratch } from '../cli/support.js';
import { randomPixels } from '../forward/float/support.js';
import { EIGHTHS, RECIPE, tinyIntegerFile, tinySwinIntegerFile, UNIFORM } from '../support/tiny-integer.js';

const folder = fileURLToPath(new URL('../../examples/python/', import.meta.url));
const bundled = (name: string) => fileURLToPath(new URL(`../../models/${name}.safetensors`, import.meta.url));
const python = process.env.FQVIT_PYTHON ?? 'python3';
const scratch = new Scratch();

const FILES: [name: string, file: () => Uint8Array | string][] = [
  ['bundled DeiT', () => bundled('deit_cifar10')],
  ['bundled Swin', () => bundled('swin_cifar10')],
  ['log2 attention', () => tinyIntegerFile({ grid: 4, patchSize: 3 })],
  ['uniform attention, 4-bit weights', () => tinyIntegerFile({}, { ...UNIFORM, weightBits: 4 })],
  ['eighths, 7-bit activations', () => tinyIntegerFile({ grid: 3 }, { ...EIGHTHS, activationBits: 7 })],
  ['a ViT with 6-bit weights', () => tinyIntegerFile({ family: 'vit' }, { ...RECIPE, weightBits: 6 })],
  ['a Swin, log2 attention', () => tinySwinIntegerFile({ imageSize: 12, window: 3 })],
  ['a Swin, uniform attention', () => tinySwinIntegerFile({}, UNIFORM)],
  ['a Swin, narrow', () => tinySwinIntegerFile({}, { ...EIGHTHS, weightBits: 4, activationBits: 7 })],
];

const SCRIPT = `
import json, sys
import numpy as np
from reader import Model
pairs = json.load(sys.stdin)
print(json.dumps([Model(file).run(np.fromfile(pixels, np.uint8)).tolist() for file, pixels in pairs]))
`;

const hasNumpy = spawnSync(python, ['-c', 'import numpy']).status === 0;
if (!hasNumpy) console.warn(`SKIPPED ${FILES.length} comparisons: ${python} has no numpy`);

(hasNumpy ? test : test.skip)('the reader in Python gives the same codes', async () => {
  const pairs: [string, string][] = [];
  const expected: number[][] = [];
  for (const [i, [, make]] of FILES.entries()) {
    const made = make();
    const file = typeof made === 'string' ? made : scratch.write(`${i}.safetensors`, made);
    const model = await load(file, { tier: 'scalar' });
    const pixels = randomPixels(3 * model.info.preprocessing.imageSize ** 2, i + 1);
    pairs.push([file, scratch.write(`${i}.bin`, pixels)]);
    expected.push([...model.codesOfPixels(pixels)]);
    model.dispose();
  }
  const env = { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' };
  const found = JSON.parse(
    execFileSync(python, ['-c', SCRIPT], { input: JSON.stringify(pairs), env }).toString(),
  );
  for (const [i, [name]] of FILES.entries()) expect([name, found[i]]).toEqual([name, expected[i]]);
});
