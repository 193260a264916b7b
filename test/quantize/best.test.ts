import { beforeAll, describe, expect, test } from '@jest/globals';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { calibrateBest } from '../../src/quantize/best.js';
import { searchBlocks } from '../../src/quantize/block-search.js';
import { calibrate } from '../../src/quantize/calibrate.js';
import { readFloatModel } from '../../src/quantize/index.js';
import { integerize } from '../../src/quantize/integerize.js';
import type { Quantizer } from '../../src/quantize/observers.js';
import { methodRecipe } from '../../src/quantize/recipe.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { randomPixels } from '../forward/float/support.js';
import { tinyFloatFile, tinySwinFile } from '../support/tiny-integer.js';

const sizes = { classes: 10, dim: 32, mlpDim: 64 };
const MODELS = [
  { family: 'deit', file: tinyFloatFile({ grid: 3, config: { crop_pct: 1 }, ...sizes }), side: 12 },
  { family: 'swin', file: tinySwinFile({ imageSize: 12, window: 3, ...sizes }), side: 12 },
];

describe.each(MODELS)('$family', ({ family, file, side }) => {
  const model = readFloatModel(file);
  const images = Array.from({ length: 24 }, (_, i) => randomPixels(side * side * 3, i + 1));
  let wasm: Uint8Array<ArrayBuffer>;
  let minmax: Map<string, Quantizer>;

  beforeAll(async () => {
    wasm = await readWasm('float');
    ({ quantizers: minmax } = await calibrate(model, images, 24, { observer: 'minmax', ptf: true, wasm }));
  });

  /** The search over candidates whose scales are those of min-max times a factor each. */
  async function search(factors: readonly number[], observed?: (name: string) => void) {
    const candidates = factors.map(
      (factor) => new Map([...minmax].map(([name, q]) => [name, { ...q, scale: q.scale * factor }])),
    );
    const runner = await FloatRunner.create(model, { wasm, batchSize: 8 });
    const found = await searchBlocks(runner, images.slice(0, 8), candidates, {
      highest: () => 255,
      onRun: () => observed?.('run'),
    });
    runner.dispose();
    return found;
  }

  test('tensors inside a block take the scale with the least error at its output, all others the first', async () => {
    const found = await search([40, 1, 30]);
    for (const [name, { scale }] of found) {
      const inside = /blocks\.\d+\.(norm[12]\.out|attn\.(qkv\.out|qk|scores|context)|mlp\.gelu\.out)$/.test(
        name,
      );
      expect([name, scale]).toEqual([name, minmax.get(name)!.scale * (inside ? 1 : 40)]);
    }
    expect([...found.keys()]).toEqual([...minmax.keys()]);
  });

  test('takes the first of equal candidates', async () => {
    const found = await search([1, 1]);
    expect(found).toEqual(minmax);
  });

  test('leaves the float model unchanged: every run starts from the same blocks', async () => {
    expect(await search([2, 1, 3])).toEqual(await search([2, 1, 3]));
  });

  test('inputs of additions have channel scales, and patches and tokens share a quantiser', async () => {
    const progress: unknown[][] = [];
    const { quantizers, images: used } = await calibrateBest(model, images, 24, {
      wasm,
      activationBits: 8,
      onProgress: (...report) => progress.push(report),
    });
    expect(used).toBe(24);
    for (const [name, { scales, factors }] of quantizers) {
      const added = /(^tokens|^patch_embed\.out|^pos_embed|attn\.proj\.out|fc2\.out)$/.test(name);
      expect([name, scales !== undefined]).toEqual([name, added]);
      if (scales) expect(factors).toBeUndefined();
    }
    if (family === 'deit') expect(quantizers.get('patch_embed.out')).toBe(quantizers.get('tokens'));
    // 1 run and 6 candidates for each of 6 or 7 kinds of tensors, of 8 images each
    const runs = 1 + 6 * (family === 'swin' ? 7 : 6);
    const searching = Array.from({ length: runs }, (_, i) => [8 * (i + 1), 8 * runs, 'searching']);
    expect(progress).toEqual([[16, 24, 'calibrating'], [24, 24, 'calibrating'], ...searching]);
  });

  test('inputs of linear layers can have 7-bit codes', async () => {
    const { quantizers } = await calibrateBest(model, images, 24, { wasm, activationBits: 7 });
    const recipe = { ...methodRecipe({ method: 'best', activationBits: 7 }), calibrationImages: 24, seed: 0 };
    expect(() => integerize(model, quantizers, { ...recipe, sourceSha256: '0'.repeat(64) })).not.toThrow();
  });

  test('stops on abort', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const onProgress = (_: number, __: number, phase: string) =>
      phase === 'searching' && controller.abort(reason);
    const run = calibrateBest(model, images, 24, {
      ...{ wasm, activationBits: 8, signal: controller.signal },
      onProgress,
    });
    await expect(run).rejects.toBe(reason);
  });
});
