import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { swinStages } from '../../../src/architecture/architecture.js';
import { type IntegerModel, readIntegerModel } from '../../../src/checkpoint/integer/model.js';
import { arrange, type Lifetime } from '../../../src/forward/arrange.js';
import { IntegerRunner, ModelPlan } from '../../../src/forward/integer/runner.js';
import { readWasm } from '../../../src/runtime/wasm-node.js';
import { computed } from '../../support/class-token.js';
import { countMissing, TIERS } from '../../support/tiers.js';
import {
  EIGHTHS,
  RECIPE,
  tinyInteger,
  tinyIntegerFile,
  tinySwinInteger,
  UNIFORM,
} from '../../support/tiny-integer.js';
import { randomPixels } from '../float/support.js';

const MODELS: [name: string, model: () => IntegerModel][] = [
  ['log2 attention', () => tinyInteger()],
  ['uniform attention', () => tinyInteger({}, UNIFORM)],
  ['attention in eighths', () => tinyInteger({ grid: 3 }, EIGHTHS)],
  ['weights of 7 bits', () => tinyInteger({ grid: 4 }, { ...RECIPE, weightBits: 7 })],
  ['weights of 4 bits', () => tinyInteger({ grid: 4 }, { ...RECIPE, weightBits: 4 })],
  [
    'weights and codes of 7 bits, in a Swin',
    () => tinySwinInteger({}, { ...RECIPE, weightBits: 7, activationBits: 7 }),
  ],
  ['one patch and one class', () => tinyInteger({ grid: 1, classes: 1, depth: 1, heads: 1 })],
  [
    '17 tokens, patches of 27 inputs',
    () => tinyInteger({ grid: 4, patchSize: 3, dim: 24, mlpDim: 8, heads: 3, classes: 17 }),
  ],
  [
    '65 tokens, wide heads',
    () => tinyInteger({ grid: 8, patchSize: 2, dim: 80, mlpDim: 136, heads: 2, classes: 9 }, UNIFORM),
  ],
  ['a Swin: windows that shift, then one window', () => tinySwinInteger()],
  ['a Swin with uniform attention', () => tinySwinInteger({}, UNIFORM)],
  ['a Swin with attention in eighths', () => tinySwinInteger({}, EIGHTHS)],
  [
    'a Swin of three stages, windows larger than the last two',
    () => tinySwinInteger({ imageSize: 32, patchSize: 4, depths: [1, 2, 1], heads: [1, 2, 4], window: 4 }),
  ],
  [
    'a Swin of windows of 3, patches of 1',
    () => tinySwinInteger({ imageSize: 12, patchSize: 1, window: 3, dim: 24, heads: [3, 2], mlpDim: 8 }),
  ],
  [
    'a Swin of one stage and windows of 7',
    () => tinySwinInteger({ imageSize: 42, patchSize: 3, depths: [3], heads: [2], window: 7, classes: 9 }),
  ],
  ['a Swin of windows of 1', () => tinySwinInteger({ window: 1, depths: [2], heads: [1] })],
];

const runners = (model: IntegerModel): Promise<IntegerRunner[]> => {
  countMissing();
  return Promise.all(TIERS.map(async (tier) => IntegerRunner.create(model, await readWasm(tier))));
};

const scalar = async (model: IntegerModel) => IntegerRunner.create(model, await readWasm('scalar'));

describe.each(MODELS)('%s', (_, model) => {
  test('every activation is the same on every tier', async () => {
    const [first, ...others] = await runners(model());
    const { architecture } = first!.description;
    const pixels = randomPixels(architecture.imageSize ** 2 * 3, 3);
    for (const runner of [first!, ...others]) runner.write('pixels', pixels);
    const outputs = first!.steps.map(({ output }) => output);
    expect(new Set(outputs).size).toBe(outputs.length);
    for (const [i, output] of outputs.entries()) {
      const codes = (runner: IntegerRunner) => {
        runner.steps[i]!.run(runner.kernels);
        return computed(runner.read(output), output, first!.description);
      };
      const expected = codes(first!);
      for (const other of others) expect([output, codes(other)]).toEqual([output, expected]);
    }
    expect(first!.read('logits').length).toBe(architecture.classes);
  });

  test('one image leaves nothing for the next', async () => {
    for (const deit of await runners(model())) {
      const bytes = deit.description.architecture.imageSize ** 2 * 3;
      const images = [randomPixels(bytes, 1), new Uint8Array(bytes), new Uint8Array(bytes).fill(255)];
      const codes = images.map((image) => deit.run(image));
      expect([2, 0, 1, 1].map((i) => deit.run(images[i]!))).toEqual([2, 0, 1, 1].map((i) => codes[i]!));
      expect(codes[0]).not.toBe(deit.run(images[0]!));
    }
  });
});

test('the codes depend on the image', async () => {
  const deit = await scalar(tinyInteger({ classes: 40 }));
  expect(deit.run(randomPixels(8 * 8 * 3, 1))).not.toEqual(deit.run(randomPixels(8 * 8 * 3, 2)));
});

test('the file may change or disappear once the model exists', async () => {
  const file = tinyIntegerFile();
  const wasm = await readWasm('simd');
  const deit = await IntegerRunner.create(readIntegerModel(file), wasm);
  const pixels = randomPixels(8 * 8 * 3, 1);
  const codes = deit.run(pixels);
  file.fill(0);
  wasm.fill(0);
  expect(deit.run(pixels)).toEqual(codes);
  expect(deit.description).not.toHaveProperty('tensors');
});

test('a written activation reads back whatever its stride', async () => {
  const deit = await scalar(tinyInteger({ grid: 4 }));
  for (const name of ['pixels', 'input', 'blocks.1.attn.scores', 'blocks.1.attn.qkv.out', 'logits']) {
    const { rows, columns } = deit.buffers.get(name)!;
    const codes = randomPixels(rows * columns, 9);
    deit.write(name, codes);
    expect(deit.read(name)).toEqual(codes);
  }
});

describe('a shifted window', () => {
  const SIZE = { imageSize: 32, patchSize: 4, depths: [2], heads: [2], window: 4 };

  test.each([
    ['log2', tinySwinInteger(SIZE), 255],
    ['uniform', tinySwinInteger(SIZE, UNIFORM), 0],
    ['eighths', tinySwinInteger(SIZE, EIGHTHS), 255],
  ] as const)(
    'gives probability 0 to tokens that are no neighbours: %s attention',
    async (_, model, zero) => {
      const runner = await scalar(model);
      runner.write('pixels', randomPixels(32 * 32 * 3, 5));
      const { architecture } = model;
      if (architecture.family !== 'swin') throw new TypeError('expected a Swin');
      const { side, window, shift } = swinStages(architecture)[0]!;
      expect([side, window, shift]).toEqual([8, 4, 2]);
      for (const step of runner.steps) {
        step.run(runner.kernels);
        if (step.output === 'layers.0.blocks.1.attn.probs') break;
      }
      const codes = runner.read('layers.0.blocks.1.attn.probs');
      // where a token of a window stood before the map was rolled; neighbours are less than a
      // window apart
      const place = (w: number, token: number) => [
        (Math.floor(w / 2) * 4 + Math.floor(token / 4) + 2) % 8,
        ((w % 2) * 4 + (token % 4) + 2) % 8,
      ];
      let dropped = 0;
      for (let at = 0; at < codes.length; at++) {
        const j = at % 16;
        const i = Math.floor(at / 16) % 16;
        const w = Math.floor(at / (16 * 16 * 2));
        const [a, b] = [place(w, i), place(w, j)];
        if (a.every((x, axis) => Math.abs(x - b[axis]!) < 4)) continue;
        dropped++;
        expect([at, codes[at]]).toEqual([at, zero]);
      }
      // per head: windows 1 and 2 lose 16·8 pairs each, window 3 loses 16·12
      expect(dropped).toBe(2 * (128 + 128 + 192));
    },
  );
});

describe.each(MODELS)('the memory plan: %s', (_, make) => {
  test('activations that live at the same time do not overlap, and all lie in memory', () => {
    const plan = new ModelPlan(make());
    const lives = [...plan.buffers.values()] as unknown as (Lifetime & { rows: number; stride: number })[];
    for (const [i, a] of lives.entries()) {
      expect(a.address + a.rows * a.stride).toBeLessThanOrEqual(plan.memory.bytes);
      for (const b of lives.slice(i + 1)) {
        if (a.first > b.last || b.first > a.last) continue;
        const apart = a.address + a.bytes <= b.address || b.address + b.bytes <= a.address;
        expect(apart).toBe(true);
      }
    }
    expect(plan.steps.reduce((sum, { macs }) => sum + macs, 0)).toBeGreaterThan(0);
  });
});

test('activations that never live at the same time share memory', () => {
  const lifetimes = fc.array(
    fc.record({
      bytes: fc.integer({ min: 1, max: 20 }).map((n) => 16 * n),
      first: fc.nat(10),
      length: fc.nat(5),
    }),
    { minLength: 1, maxLength: 12 },
  );
  fc.assert(
    fc.property(lifetimes, (list) => {
      const all = list.map(({ bytes, first, length }) => ({
        address: 0,
        bytes,
        first,
        last: first + length,
      }));
      const size = arrange(all);
      const alive = (step: number) => all.filter(({ first, last }) => first <= step && step <= last);
      for (let step = 0; step <= 15; step++) {
        const now = alive(step).sort((a, b) => a.address - b.address);
        now.reduce((end, { address, bytes }) => {
          expect(address).toBeGreaterThanOrEqual(end);
          return address + bytes;
        }, 0);
        expect(size).toBeGreaterThanOrEqual(now.reduce((sum, { bytes }) => sum + bytes, 0));
      }
      expect(size).toBeLessThanOrEqual(all.reduce((sum, { bytes }) => sum + bytes, 0));
    }),
  );
  const two = [
    { address: 0, bytes: 64, first: 0, last: 1 },
    { address: 0, bytes: 32, first: 2, last: 3 },
  ];
  expect(arrange(two)).toBe(64);
});
