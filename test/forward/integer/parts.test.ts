import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { IntegerModel } from '../../../src/checkpoint/integer/model.js';
import { traceProgram } from '../../../src/checkpoint/integer/program.js';
import { ModelPlan } from '../../../src/forward/integer/runner.js';
import { execute, link, share, shareHeads, type ThreadPart } from '../../../src/runtime/calls.js';
import { type IntegerKernels, instantiateKernels, type Tier } from '../../../src/runtime/kernels.js';
import { readWasm } from '../../../src/runtime/wasm-node.js';
import { Random } from '../../assembly/support.js';
import { computed } from '../../support/class-token.js';
import { describeTiers, onTiers } from '../../support/tiers.js';
import { EIGHTHS, RECIPE, tinyInteger, tinySwinInteger, UNIFORM } from '../../support/tiny-integer.js';
import { randomPixels } from '../float/support.js';

const partOf = (index: number, count: number): ThreadPart => ({ index, count, scratch: 0 });
const partsOf = (count: number) => Array.from({ length: count }, (_, index) => partOf(index, count));

describe('share', () => {
  const sizes = fc.record({ count: fc.nat(300), parts: fc.integer({ min: 1, max: 70 }) });

  test('covers everything once, in order, in whole groups, and parts differ by at most one group', () => {
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 9 }), ({ count, parts }, group) => {
        let end = 0;
        const groups = partsOf(parts).map((part) => {
          const [from, to] = share(count, part, group);
          expect(from).toBe(end);
          expect(from % group === 0 || from === count).toBe(true);
          end = to;
          return Math.ceil((to - from) / group);
        });
        expect(end).toBe(count);
        expect(Math.max(...groups) - Math.min(...groups)).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('shareHeads', () => {
  const shapes = fc.record({
    windows: fc.integer({ min: 1, max: 9 }),
    heads: fc.integer({ min: 1, max: 7 }),
    rows: fc.integer({ min: 1, max: 30 }),
    parts: fc.integer({ min: 1, max: 12 }),
    macs: fc.constantFrom(1, 2 ** 26, 2 ** 40),
  });

  test('covers every row of every head of every window once, in whole tiles of four', () => {
    fc.assert(
      fc.property(shapes, ({ windows, heads, rows, parts, macs }) => {
        const seen = new Uint8Array(windows * heads * rows);
        for (const part of partsOf(parts)) {
          for (const { window, head, from, rows: some } of shareHeads(windows, heads, rows, part, macs)) {
            expect(some).toBeGreaterThan(0);
            expect([from % 4, from + some === rows || some % 4 === 0]).toEqual([0, true]);
            for (let row = from; row < from + some; row++) seen[(window * heads + head) * rows + row]!++;
          }
        }
        expect(seen.every((times) => times === 1)).toBe(true);
      }),
    );
  });

  test('keeps windows whole if there are as many as parts', () => {
    fc.assert(
      fc.property(shapes, ({ windows, heads, rows, parts }) => {
        fc.pre(windows >= parts);
        for (const part of partsOf(parts))
          for (const piece of shareHeads(windows, heads, rows, part, 1))
            expect(piece).toMatchObject({ from: 0, rows });
        const of = partsOf(parts).map((part) =>
          shareHeads(windows, heads, rows, part, 1).map((p) => p.window),
        );
        expect(new Set(of.flat()).size).toBe(of.reduce((sum, list) => sum + new Set(list).size, 0));
      }),
    );
  });
});

const NARROW = { ...RECIPE, weightBits: 7 as const };
const MODELS: [name: string, make: () => IntegerModel][] = [
  ['DeiT', () => tinyInteger({ grid: 4, classes: 9 })],
  ['DeiT of uniform attention', () => tinyInteger({ grid: 3, dim: 24, heads: 3 }, UNIFORM)],
  ['DeiT of attention in eighths', () => tinyInteger({ grid: 3, dim: 24, heads: 3 }, EIGHTHS)],
  ['DeiT of 4-bit weights', () => tinyInteger({ grid: 4 }, { ...RECIPE, weightBits: 4 })],
  ['ViT of 7-bit weights', () => tinyInteger({ family: 'vit', grid: 4, depth: 3, classes: 9 }, NARROW)],
  ['DeiT of one block', () => tinyInteger({ depth: 1 })],
  ['Swin', () => tinySwinInteger({ classes: 9 })],
  ['Swin of 7-bit weights and codes', () => tinySwinInteger({}, { ...NARROW, activationBits: 7 })],
  [
    'Swin of odd windows',
    () => tinySwinInteger({ imageSize: 24, window: 3, depths: [2, 1], heads: [3, 2], dim: 24 }),
  ],
];
const EACH = onTiers(MODELS.map(([name, make]) => ({ name, make })));

/** A plan on a tier, its memory filled. */
interface Loaded {
  plan: ModelPlan;
  kernels: IntegerKernels;
  memory: Buffer;
}

async function loaded(plan: ModelPlan, tier: Tier): Promise<Loaded> {
  const memory = plan.memory.allocate();
  const kernels = await instantiateKernels(await readWasm(tier), memory);
  for (const fill of plan.fills) fill(memory.buffer, kernels);
  return { plan, kernels, memory: Buffer.from(memory.buffer) };
}

const pixelsOf = ({ model }: ModelPlan) => randomPixels(model.architecture.imageSize ** 2 * 3, 11);

/** Makes every step; `order` says in which order its parts, `count` of them. */
function forward(model: Loaded, count: number, order: (parts: number[]) => number[]): void {
  const { plan, kernels, memory } = model;
  memory.set(pixelsOf(plan), plan.activation('pixels').address);
  const indices = Array.from({ length: count }, (_, i) => i);
  for (const { calls } of plan.steps)
    for (const index of order([...indices])) execute(link(calls(plan.part(index, count)), kernels));
}

function read({ plan, memory }: Loaded, name: string): Uint8Array {
  const { address, rows, columns, stride } = plan.activation(name);
  const row = (_: unknown, i: number) => {
    const at = address + i * stride;
    return memory.subarray(at, at + columns);
  };
  return new Uint8Array(Buffer.concat(Array.from({ length: rows }, row)));
}

describeTiers(EACH, '$name, $tier', ({ make, tier }) => {
  test.each([2, 3, 5])('%d parts of every step give the same logits in any order', async (count) => {
    const whole = await loaded(new ModelPlan(make()), tier);
    forward(whole, 1, (parts) => parts);
    const logits = read(whole, 'logits');
    const random = new Random(count);
    const orders: ((parts: number[]) => number[])[] = [
      (parts) => parts,
      (parts) => parts.reverse(),
      (parts) =>
        parts
          .map((p) => [random.real(), p] as const)
          .sort(([a], [b]) => a - b)
          .map(([, p]) => p),
    ];
    for (const order of orders) {
      const model = await loaded(new ModelPlan(make(), count), tier);
      forward(model, count, order);
      expect(read(model, 'logits')).toEqual(logits);
    }
  });
});

test('long layers are cut into several calls over the same rows', async () => {
  const model = tinyInteger({ grid: 48, patchSize: 1, dim: 256, mlpDim: 1024, heads: 2, depth: 2 });
  const [whole, parts] = [
    await loaded(new ModelPlan(model), 'simd'),
    await loaded(new ModelPlan(model, 3), 'simd'),
  ];
  const callsOf = (plan: ModelPlan, name: string, count: number) => {
    const { calls } = plan.steps.find(({ output }) => output === `blocks.0.${name}`)!;
    return calls(plan.part(0, count)).length;
  };
  const cut = ['mlp.fc1.out', 'mlp.fc2.out', 'attn.scores', 'attn.probs', 'attn.context'];
  expect(cut.map((name) => callsOf(whole.plan, name, 1))).toEqual([2, 2, 4, 2, 4]);
  expect(cut.map((name) => callsOf(parts.plan, name, 3))).toEqual([1, 1, 1, 1, 1]);
  forward(whole, 1, (indices) => indices);
  forward(parts, 3, (indices) => indices);
  expect(read(whole, 'logits')).toEqual(read(parts, 'logits'));
});

/** The same model, whose last block computes all rows. */
function inFull(model: IntegerModel): IntegerModel {
  const layers = model.program.layers.map((layer) => {
    if (layer.kind === 'linear') {
      const { partial: _, ...rest } = layer;
      return rest;
    }
    if (layer.kind !== 'scores') return layer;
    const { queries: _, ...rest } = layer;
    return rest;
  });
  const program = traceProgram(layers, model.preprocessing.imageSize, (_, message) => {
    throw new Error(message);
  });
  return { ...model, program };
}

const VITS = EACH.filter(({ name }) => !name.startsWith('Swin'));

describeTiers(VITS, 'the last block: $name, $tier', (each) => {
  test("the class token's rows equal those of a plan that computes all rows", async () => {
    const model = each.make();
    const { architecture } = model;
    if (architecture.family === 'swin') throw new TypeError('expected a DeiT or ViT');
    const some = await loaded(new ModelPlan(model), each.tier);
    const all = await loaded(new ModelPlan(inFull(model)), each.tier);
    const last = `blocks.${architecture.depth - 1}.`;
    for (const loaded of [some, all])
      loaded.memory.set(pixelsOf(loaded.plan), loaded.plan.activation('pixels').address);
    let fewer = 0;
    for (const [i, { output, run }] of some.plan.steps.entries()) {
      run(some.kernels);
      all.plan.steps[i]!.run(all.kernels);
      const rows = [some.plan.activation(output).rows, all.plan.activation(output).rows] as const;
      if (rows[0] < rows[1]) fewer++;
      // fine codes are u16, of which `read` takes the first half of a row
      const codes = (model: Loaded) => computed(read(model, output), output, some.plan.model);
      expect([output, codes(some)]).toEqual([output, codes(all)]);
    }
    // scores, softmax, context, proj, residual1, norm2, fc1, gelu, fc2, residual2
    expect(fewer).toBe(10);
    expect(some.plan.steps.filter(({ output }) => output.startsWith(last))).toHaveLength(12);
    expect(some.plan.steps.reduce((sum, { macs }) => sum + macs, 0)).toBeLessThan(
      all.plan.steps.reduce((sum, { macs }) => sum + macs, 0),
    );
  });
});
