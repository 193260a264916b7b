import { test } from '@jest/globals';
import { readIntegerModel } from '../../src/checkpoint/integer-model.js';
import { load } from '../../src/classify.js';
import { FloatRunner } from '../../src/models/float.js';
import { quantize, readFloatModel } from '../../src/quantize/index.js';
import { METHODS } from '../../src/quantize/recipe.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { randomPixels } from '../float/support.js';
import { tinyFloatFile } from '../support/tiny-integer.js';

test('measure', async () => {
  for (const seed of [1,2,3])
  for (const family of ['deit', 'vit'] as const)
    for (const method of METHODS)
      for (const attentionBits of [4, 8] as const) {
        const file = tinyFloatFile({ seed, family, classes: 10, dim: 32, mlpDim: 64, grid: 3, config: { crop_pct: 1 } });
        const images = Array.from({ length: 32 }, (_, i) => ({ width: 12, height: 12, data: randomPixels(432, i + 1) }));
        const s = performance.now();
        const { bytes } = await quantize(file, images, { method, attentionBits });
        const ms = performance.now() - s;
        readIntegerModel(bytes);
        const model = await load(bytes);
        const float = await FloatRunner.create(readFloatModel(file), { wasm: await readWasm('float') });
        let worst = 0, sq = 0, n = 0, min = Infinity, max = -Infinity;
        let agree = 0;
        for (const { data } of images) {
          const e = float.run([data])[0]!;
          const f = model.logitsOfPixels(data);
          e.forEach((x, i) => { worst = Math.max(worst, Math.abs(x - f[i]!)); sq += (x - f[i]!) ** 2; n++; min = Math.min(min, x); max = Math.max(max, x); });
          agree += Number([...e].indexOf(Math.max(...e)) === [...f].indexOf(Math.max(...f)));
        }
        console.log(seed, family, method, attentionBits, 'worst/range', (worst / (max - min)).toFixed(4), 'rms/range', (Math.sqrt(sq / n) / (max - min)).toFixed(4), agree, ms.toFixed(0));
      }
});
