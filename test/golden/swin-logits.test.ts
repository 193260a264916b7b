import { beforeAll, expect, test } from '@jest/globals';
import { writeIntegerModel } from '../../src/checkpoint/integer/model.js';
import { asFloat32, asUint8 } from '../../src/checkpoint/safetensors/typed-views.js';
import { load } from '../../src/model/model.js';
import { rankClasses } from '../../src/model/rank.js';
import { goldenFiles, goldenModel, goldenTensors } from '../support/golden.js';
import { describeWithShared } from '../support/shared.js';
import { sealed } from '../support/tiny-integer.js';

const IMAGES = 400;
const CLASSES = 10;
const BYTES = 56 * 56 * 3;

const FILES = ['pixels', 'logits'].map((name) => `golden/swin_micro/${name}.safetensors`);
describeWithShared(
  'the small Swin end to end, with the scales of the simulator',
  2,
  [...goldenFiles('swin_micro'), ...FILES],
  () => {
    let best: number[];
    const row = <T extends Uint8Array | Float32Array>(all: T, i: number, length: number) =>
      all.subarray(i * length, (i + 1) * length) as T;

    beforeAll(async () => {
      const model = await load(sealed(writeIntegerModel(goldenModel('swin_micro'))));
      const pixels = asUint8(goldenTensors('pixels', 'swin_micro').get('test')!);
      best = Array.from(
        { length: IMAGES },
        (_, i) => rankClasses(model.codesOfPixels(row(pixels, i, BYTES)), 1)[0]!,
      );
      model.dispose();
    });

    test('names the same class as the simulator on at least 96 % of the pictures', () => {
      const codes = asUint8(goldenTensors('logits', 'swin_micro').get('codes')!);
      const same = best.filter((index, i) => index === rankClasses(row(codes, i, CLASSES), 1)[0]).length;
      console.log(`same top-1 as the simulator: ${same} of ${IMAGES}`);
      expect(same / IMAGES).toBeGreaterThanOrEqual(0.96);
    });

    test('names the same class as the float model on at least 92 %', () => {
      const logits = asFloat32(goldenTensors('logits', 'swin_micro').get('float_model')!);
      const same = best.filter((index, i) => index === rankClasses(row(logits, i, CLASSES), 1)[0]).length;
      console.log(`same top-1 as the float model: ${same} of ${IMAGES}`);
      expect(same / IMAGES).toBeGreaterThanOrEqual(0.92);
    });
  },
);
