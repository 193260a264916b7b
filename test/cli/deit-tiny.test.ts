import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { beforeAll, expect, test } from '@jest/globals';
import { describeWithShared, shared } from '../support/shared.js';
import { fqvit, Scratch } from './support.js';

const FILES = [
  'models/deit_tiny_patch16_224.safetensors',
  'data/imagenet500/n01440764_tench.JPEG',
  'data/imagenet-labels.json',
];
describeWithShared('DeiT-Tiny', 3, FILES, () => {
  const scratch = new Scratch();
  const float = `${shared}models/deit_tiny_patch16_224.safetensors`;
  const photos = `${shared}data/imagenet500`;
  const integer = scratch.at('deit_tiny.st');
  let summary: string;

  beforeAll(async () => {
    mkdirSync(scratch.at('photos'));
    const rows = readFileSync(`${photos}/labels.csv`, 'utf8').trim().split('\n').slice(1);
    for (const row of rows.filter((_, i) => i % 32 === 0)) {
      const [file] = row.split(',');
      symlinkSync(`${photos}/${file}`, scratch.at(`photos/${file}`));
    }
    const run = await fqvit([
      'quantize',
      ...[float, '--calibration', scratch.at('photos'), '-o', integer],
      ...['--labels', `${shared}data/imagenet-labels.json`, '--arch', 'deit_tiny_patch16_224'],
    ]);
    expect(run).toMatchObject({ code: 0, stderr: expect.not.stringContaining('warning') });
    summary = run.stdout;
  });

  test('is four times smaller', () => {
    expect(summary).toMatch(/^model +deit_tiny_patch16_224$/m);
    expect(summary).toMatch(/\(3\.\d times smaller\)/);
  });

  test('recognises a tench', async () => {
    const run = await fqvit(['classify', `${photos}/n01440764_tench.JPEG`, '--model', integer, '--json']);
    const [{ predictions }] = JSON.parse(run.stdout);
    expect(predictions[0]).toMatchObject({ index: 0, label: 'tench' });
  });

  test('agrees with the float model', async () => {
    const run = await fqvit([
      'eval',
      ...[integer, '--images', photos, '--labels', `${photos}/labels.csv`],
      ...['--reference', float, '--limit', '24', '--json'],
    ]);
    const { images, top1, reference } = JSON.parse(run.stdout);
    expect(images).toBe(24);
    expect(top1).toBeGreaterThan(70);
    expect(reference.agreement).toBeGreaterThan(80);
    expect(reference.kl).toBeLessThan(0.2);
  });
});
