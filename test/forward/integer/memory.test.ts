import { beforeAll, expect, test } from '@jest/globals';
import type { IntegerModel } from '../../../src/checkpoint/integer/model.js';
import { ModelPlan } from '../../../src/forward/integer/runner.js';
import { type IntegerKernels, instantiateKernels, type Tier } from '../../../src/runtime/kernels.js';
import { readWasm } from '../../../src/runtime/wasm-node.js';
import { describeTiers, onTiers } from '../../support/tiers.js';
import { EIGHTHS, RECIPE, tinyInteger, tinySwinInteger, UNIFORM } from '../../support/tiny-integer.js';
import { randomPixels } from '../float/support.js';

const MODELS: [name: string, make: () => IntegerModel][] = [
  ['DeiT', () => tinyInteger({ grid: 4, classes: 9 })],
  ['DeiT, uniform attention', () => tinyInteger({ grid: 3, dim: 24, heads: 3 }, UNIFORM)],
  ['DeiT, weights of 7 bits', () => tinyInteger({ grid: 4 }, { ...RECIPE, weightBits: 7 })],
  ['Swin', () => tinySwinInteger({ classes: 9 })],
  ['Swin, uniform attention', () => tinySwinInteger({}, UNIFORM)],
  ['Swin, attention in eighths', () => tinySwinInteger({}, EIGHTHS)],
  [
    'Swin of odd windows and three stages',
    () => tinySwinInteger({ imageSize: 24, window: 3, depths: [2, 2, 1], heads: [3, 2, 4], dim: 24 }),
  ],
  ['Swin of one window a stage', () => tinySwinInteger({ patchSize: 4, window: 9 })],
];

/** A plan with its memory, filled as a runner fills it. */
interface Loaded {
  plan: ModelPlan;
  kernels: IntegerKernels;
  memory: Buffer;
}

async function loaded(model: IntegerModel, tier: Tier): Promise<Loaded> {
  const plan = new ModelPlan(model);
  const memory = plan.memory.allocate();
  const kernels = await instantiateKernels(await readWasm(tier), memory);
  for (const fill of plan.fills) fill(memory.buffer, kernels);
  return { plan, kernels, memory: Buffer.from(memory.buffer) };
}

const pixelsOf = ({ model }: ModelPlan) => randomPixels(model.architecture.imageSize ** 2 * 3, 7);

/** Runs the steps; `before` is called ahead of each. */
function logits(
  { plan, kernels, memory }: Loaded,
  before: (i: number) => void = () => {},
  after: (i: number) => void = () => {},
): Buffer {
  memory.set(pixelsOf(plan), plan.activation('pixels').address);
  for (const [i, step] of plan.steps.entries()) {
    before(i);
    step.run(kernels);
    after(i);
  }
  const { address, columns } = plan.activation('logits');
  return Buffer.from(memory.subarray(address, address + columns));
}

const EACH = onTiers(MODELS.map(([name, make]) => ({ name, make })));

describeTiers(EACH, '$name, $tier', ({ make, tier }) => {
  let model: Loaded;
  let expected: Buffer;

  beforeAll(async () => {
    model = await loaded(make(), tier);
    expected = logits(model);
  });

  test('a step writes only its output and its declared scratch memory', () => {
    const { plan, memory } = model;
    let kept = Buffer.alloc(0);
    let changes = 0;
    logits(
      model,
      () => {
        kept = Buffer.from(memory);
      },
      (i) => {
        const { output, scratchBytes } = plan.steps[i]!;
        const { address, rows, stride } = plan.activation(output);
        changes += Number(!kept.equals(memory));
        for (const [from, bytes] of [
          [address, rows * stride],
          [plan.scratch, scratchBytes],
        ] as const)
          memory.copy(kept, from, from, from + bytes);
        expect([output, firstDifference(kept, memory)]).toEqual([output, undefined]);
      },
    );
    expect(changes).toBeGreaterThan(0);
  });

  test('no step reads uninitialised memory: other garbage in scratch and regions gives the same logits', () => {
    const { plan, memory } = model;
    const constants = plan.model.program.layers.filter(
      ({ kind }) => kind === 'tokens' || kind === 'constant',
    );
    const kept = new Set(constants.map(({ name }) => name));
    for (const [name, { address, rows, stride }] of plan.buffers)
      if (!kept.has(name)) memory.fill(randomPixels(997, address), address, address + rows * stride);
    const noise = (i: number) => {
      memory.fill(randomPixels(991, i + 1), plan.scratch, plan.scratch + plan.scratchBytes);
    };
    expect(logits(model, noise)).toEqual(expected);
  });

  test('the memory is exactly as large as the plan', () => {
    const { plan, memory } = model;
    expect(plan.memory.bytes).toBe(memory.length);
    for (const [name, { address, rows, columns, stride }] of plan.buffers) {
      expect([name, stride >= columns, address % 16]).toEqual([name, true, 0]);
      expect(address).toBeGreaterThanOrEqual(65536);
      expect(address + rows * stride + 16).toBeLessThanOrEqual(plan.scratch);
    }
    for (const { scratchBytes } of plan.steps) expect(scratchBytes).toBeLessThanOrEqual(plan.scratchBytes);
    expect(plan.scratch + plan.scratchBytes).toBeLessThanOrEqual(memory.length);
    // No page is left over: the first one, which stays empty, and whole pages up to the end of
    // scratch memory.
    expect(memory.length - (plan.scratch + plan.scratchBytes + 32)).toBeLessThan(65536);
  });
});

function firstDifference(a: Buffer, b: Buffer): number | undefined {
  if (a.equals(b)) return undefined;
  return a.findIndex((byte, i) => byte !== b[i]);
}

test.each(MODELS)('%s: a step counts the bytes that it reads and writes', (_, make) => {
  const plan = new ModelPlan(make());
  const { tensors } = plan.model;
  const bytes = (name: string) => {
    const { rows, stride } = plan.activation(name);
    return rows * stride;
  };
  const of = (output: string) => plan.steps.find((step) => step.output === output)!.bytes;
  expect(of('input')).toBe(bytes('pixels') + bytes('input') + 3 * 256);
  for (const fc2 of plan.steps.filter(({ output }) => output.endsWith('mlp.fc2.out'))) {
    const block = fc2.output.slice(0, -'mlp.fc2.out'.length);
    // n is a multiple of 8; weights lie in panels of 8 outputs, with 32 bytes behind each
    const n = tensors.get(`${block}mlp.fc2.bias`)!.length;
    const { columns } = plan.activation(`${block}mlp.gelu.out`);
    const parameters = (n / 8) * (8 * columns + 32) + 8 * n;
    expect(fc2.bytes).toBe(bytes(`${block}mlp.gelu.out`) + bytes(fc2.output) + parameters);
    expect(of(`${block}mlp.gelu.out`)).toBe(
      bytes(`${block}mlp.fc1.out`) + bytes(`${block}mlp.gelu.out`) + 4096,
    );
  }
});
