import { expect, test } from '@jest/globals';
import { writeIntegerModel } from '../../src/checkpoint/integer/model.js';
import { readSafetensors } from '../../src/checkpoint/safetensors/safetensors.js';
import { asUint8 } from '../../src/checkpoint/safetensors/typed-views.js';
import { load } from '../../src/model/model.js';
import { rankClasses } from '../../src/model/rank.js';
import { goldenFiles, goldenModel } from '../support/golden.js';
import { describeWithShared, readShared, shared } from '../support/shared.js';
import { sealed } from '../support/tiny-integer.js';

const FIRST_ROW = 64;

const FILES = [
  ...goldenFiles('deit_tiny'),
  'golden/deit_tiny/logits.safetensors',
  'data/imagenet500/labels.csv',
];
describeWithShared('DeiT-Tiny end to end, with the scales of the simulator', 1, FILES, () => {
  test('names the same class as the simulator on at least 96 of 100 photos', async () => {
    const model = await load(sealed(writeIntegerModel(goldenModel())));
    const simulator = asUint8(
      readSafetensors(readShared('golden/deit_tiny/logits.safetensors')).tensors.get('codes')!,
    );
    const rows = new TextDecoder().decode(readShared('data/imagenet500/labels.csv')).trim().split('\n');
    let same = 0;
    for (let i = 0; i < 100; i++) {
      const [file] = rows[1 + FIRST_ROW + i]!.split(',');
      const codes = await model.codes(`${shared}data/imagenet500/${file}`);
      if (rankClasses(codes, 1)[0] === rankClasses(simulator.subarray(i * 1000, (i + 1) * 1000), 1)[0])
        same++;
    }
    model.dispose();
    console.log(`same top-1 as the simulator: ${same} of 100`);
    expect(same).toBeGreaterThanOrEqual(96);
  });
});
