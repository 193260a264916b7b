/**
 * Programs of integer checkpoints that no family builds: layers put together at random, and changes
 * to the list. Whatever is accepted has the same codes on every tier and with any threads, and
 * writes nothing but what it says.
 */

import { readIntegerModel } from '../../../src/checkpoint/integer/model.js';
import { traceProgram } from '../../../src/checkpoint/integer/program.js';
import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import { ModelPlan } from '../../../src/forward/integer/runner.js';
import type { IntegerActivation } from '../../../src/layers/integer-activation.js';
import { type IntegerLayer, integerKind } from '../../../src/layers/integer-kinds.js';
import type { TensorSpec } from '../../../src/layers/tensor-spec.js';
import { load } from '../../../src/model/model.js';
import type { Outputs } from '../../../src/networks/network.js';
import { execute, link } from '../../../src/runtime/calls.js';
import { instantiateKernels } from '../../../src/runtime/kernels.js';
import { readModule, TIERS } from '../../support/kernel-modules.js';
import { sealed, tinyIntegerFile, tinySwinIntegerFile } from '../../support/tiny-integer.js';
import type { Dice } from '../dice.js';
import { type Json, mutatedJson } from '../mutate.js';
import { expectThat, same, type Target } from '../target.js';
import { CONTAINER_CODES } from './safetensors.js';

const MODULES = new Map(TIERS.map((tier) => [tier, new WebAssembly.Module(readModule(tier))]));

const described = (file: Uint8Array): Json => JSON.parse(readSafetensors(file).metadata.fqvit!);
const FAMILIES = [tinyIntegerFile, tinySwinIntegerFile].map((make) => described(make()));

const refuse = (_: IntegerLayer | undefined, message: string): never => {
  throw new Error(message);
};

/** A list of layers that grows while each one fits. */
class Growing {
  readonly layers: IntegerLayer[] = [];
  readonly made = new Map<string, IntegerActivation>();

  constructor(
    readonly dice: Dice,
    readonly imageSize: number,
  ) {}

  /** Appends the layer if it fits. */
  add(layer: Json): boolean {
    const one: IntegerLayer = { name: `l${this.layers.length}`, ...layer };
    try {
      const context = { imageSize: this.imageSize, refuse: (message: string) => refuse(one, message) };
      const reads = one.reads.map((name) => this.made.get(name)!);
      this.made.set(one.name, integerKind(one).rule(one, reads, context).activation);
    } catch {
      return false;
    }
    this.layers.push(one);
    return true;
  }

  /** The name of an earlier activation, often of the last ones. */
  read(): string {
    const names = [...this.made.keys()];
    return this.dice.chance(0.6)
      ? names.at(-1 - this.dice.below(Math.min(3, names.length)))!
      : this.dice.pick(names);
  }

  /** A layer of this kind with attributes that may fit. */
  proposed(kind: IntegerLayer['kind']): Json {
    const { dice } = this;
    const scale = { scale: 0.05, zeroPoint: dice.pick([0, 127, 128, 3]) };
    const product = {
      multiplier: dice.pick([2 ** 30, -(2 ** 30), 2 ** 31 - 1, 1, 0, -(2 ** 31) + 1]),
      left: dice.weighed([[6, 0] as const, [1, 15] as const, [1, 4] as const]),
      right: dice.pick([40, 36, 44, 32, 62]),
    };
    const bits = dice.chance(0.2) ? { bits: 7 } : {};
    const factors = dice.chance(0.2) ? { factors: true } : {};
    const reads = Array.from({ length: integerKind({ kind }).operands }, () => this.read());
    const first = reads.length > 0 ? this.made.get(reads[0]!)! : undefined;
    const head = { kind, reads };
    switch (kind) {
      case 'patches':
        return { ...head, patch: dice.pick([4, 2, 8, 3, 1, this.imageSize]), ...scale };
      case 'linear': {
        const outputs = dice.pick([24, 8, 16, 48, 72, 96, 32, 5, 1, 27]);
        const partial = { rows: dice.between(1, 3), columns: outputs / 3 };
        const { multiplier: _, ...shifts } = product;
        return {
          ...{ ...head, outputs, weightBits: dice.pick([8, 7, 6, 5, 4]), ...shifts, ...scale },
          ...(dice.chance(0.15) ? { partial } : {}),
          ...(dice.chance(0.2) ? { fine: true, zeroPoint: dice.pick([2000, 0, 4095]) } : factors),
        };
      }
      case 'tokens':
        return { ...head, prefix: dice.pick([1, 0, 2, 5]), ...scale };
      case 'constant': {
        const { rows, columns, heads } = this.made.get(this.read())!;
        const table = heads && [(2 * Math.sqrt(heads.tokens) - 1) ** 2, heads.heads];
        return { ...head, shape: table ?? [rows, columns], ...scale };
      }
      case 'scores':
        return {
          ...{ ...head, heads: dice.pick([1, 2, 3, 4]), ...product, ...scale },
          ...(dice.chance(0.2) ? { queries: dice.between(1, 4) } : {}),
        };
      case 'bias': {
        const numbers = [2 ** 22, 0, 2 ** 31 - 1, 12345];
        const multiplier = dice.pick(numbers);
        return {
          ...head,
          multiplier,
          biasMultiplier: dice.pick(numbers),
          shift: dice.pick([22, 1, 30]),
          ...scale,
        };
      }
      case 'softmax': {
        const codes = dice.pick(['log2', 'eighths', 'uniform']);
        const uniform = { levels: dice.pick([2 ** 20, 1, 2 ** 30 - 1]), scale: 0.004 };
        return {
          ...head,
          codes,
          ...{ log2: {}, eighths: { slope: dice.between(1, 32767) }, uniform }[codes],
        };
      }
      case 'context':
        return { ...head, ...product, ...bits, ...scale };
      case 'add':
        return { ...head, shift: dice.pick([20, 1, 30, 15]), ...factors, ...scale };
      case 'layernorm': {
        const side = Math.sqrt(first!.rows);
        const size = dice.pick([4, 2, 3, 1, side]);
        const where = dice.weighed<Json>([
          [4, {}],
          [2, { rows: dice.pick([1, 2, 3]) }],
          [1, { rows: dice.pick([1, 2]), joined: true }],
          [3, { window: { size, shift: dice.below(size) } }],
          [2, { merge: true }],
        ]);
        return { ...head, shift: dice.pick([37, 1, 62, 30]), ...where, ...bits, ...scale };
      }
      case 'gelu':
        return { ...head, ...bits, ...scale };
      case 'pool':
        return { ...head, skip: dice.pick([0, 1, 2]), ...product, ...factors, ...scale };
    }
  }
}

const KINDS: readonly (readonly [number, IntegerLayer['kind']])[] = [
  ...([
    [5, 'linear'],
    [3, 'layernorm'],
    [3, 'scores'],
    [3, 'softmax'],
    [3, 'context'],
    [2, 'add'],
  ] as const),
  ...([
    [2, 'constant'],
    [2, 'bias'],
    [2, 'gelu'],
    [1, 'tokens'],
    [1, 'pool'],
    [1, 'patches'],
  ] as const),
];

/** A program that fits, and what it is named by. */
function grown(dice: Dice): { layers: Json[]; outputs: Json; imageSize: number } {
  const imageSize = dice.weighed([[4, 16] as const, [2, 24] as const, [2, 32] as const, [1, 12] as const]);
  const list = new Growing(dice, imageSize);
  list.add(list.proposed('patches'));
  const size = dice.between(2, 24);
  for (let tries = 0; list.made.size > 0 && list.layers.length < size && tries < 12 * size; tries++)
    list.add(list.proposed(dice.weighed(KINDS)));
  const vectors = () =>
    list.layers.filter(({ name }) => {
      const { element, rows, partial, factors } = list.made.get(name)!;
      return element === 'codes' && rows === 1 && partial === undefined && factors === undefined;
    });
  for (let tries = 0; list.made.size > 0 && vectors().length === 0 && tries < 50; tries++)
    list.add({
      ...list.proposed('layernorm'),
      rows: 1,
      window: undefined,
      merge: undefined,
      joined: undefined,
    });
  const name = vectors().at(-1)?.name ?? 'none';
  const logits = vectors().find(({ kind }) => kind === 'linear')?.name;
  const outputs: Outputs = { features: { layer: name, tokens: 1 }, ...(logits ? { logits } : {}) };
  return { layers: list.layers, outputs, imageSize };
}

/** Changes the list: layers that are missing, doubled, moved, or read something else. */
function changeList(dice: Dice, layers: Json[]): void {
  const at = dice.below(layers.length);
  const layer = layers[at];
  const other = dice.pick(layers);
  if (!layer?.reads?.length || typeof other?.name !== 'string') {
    layers.splice(at, 1);
    return;
  }
  switch (dice.below(9)) {
    case 0:
      layers.splice(at, 1);
      break;
    case 1:
      layers.splice(dice.below(layers.length), 0, { ...layer, name: dice.chance(0.8) ? 'copy' : layer.name });
      break;
    case 2:
      layers.splice(at, 1);
      layers.splice(dice.below(layers.length + 1), 0, layer);
      break;
    case 3:
      [layers[at], layers[layers.indexOf(other)]] = [other, layer];
      break;
    case 4:
      if (layer.reads.length > 0) layer.reads[dice.below(layer.reads.length)] = other.name;
      break;
    case 5:
      layer.kind = dice.pick(KINDS)[1];
      break;
    case 6: {
      const source = dice.pick(dice.pick(FAMILIES).layers as Json[]);
      layers.splice(at, 0, {
        ...source,
        name: 'foreign',
        reads: source.reads.map(() => other.name),
      });
      break;
    }
    case 7: {
      const key = dice.pick(Object.keys(layer));
      if (typeof layer[key] === 'number')
        layer[key] = dice.pick([layer[key] + 1, layer[key] - 1, 2 * layer[key], 0, 1, -1, dice.oddInteger()]);
      else if (dice.chance(0.5)) delete layer[key];
      else layer[key] = other[key];
      break;
    }
    default:
      layers[at] = mutatedJson(dice, layer, 1);
  }
}

/** The tensors of a list, of random values within their ranges. */
function tensorsFor(dice: Dice, layers: readonly Json[], imageSize: number): Tensor[] {
  let specs: readonly TensorSpec[] = [];
  try {
    specs = traceProgram(structuredClone(layers) as IntegerLayer[], imageSize, refuse).tensors;
  } catch {
    // the list is refused before its tensors are looked at
  }
  const plausible = specs.filter(
    ({ shape }) =>
      shape.length > 0 &&
      shape.every((size) => Number.isInteger(size) && size > 0) &&
      shape.reduce((product, size) => product * size, 1) <= 2 ** 20,
  );
  return plausible.slice(0, 1000).map(({ name, dtype, shape, range, scores }) => {
    const elements = shape.reduce((product, size) => product * size, 1);
    const bytes = dtype.endsWith('8') ? 1 : 4;
    const data = dice.noise(elements * bytes);
    if (range !== undefined && bytes === 1)
      for (let i = 0; i < data.length; i++) data[i] = range.low + (data[i]! % (range.high - range.low + 1));
    const words = new DataView(data.buffer);
    for (let i = 0; bytes === 4 && i < elements; i++) {
      const value = words.getInt32(4 * i, true);
      if (scores !== undefined) words.setUint32(4 * i, (2 ** 32 / scores / 2) * 2 ** (-i / 16), true);
      else if (value === -(2 ** 31)) words.setInt32(4 * i, 0, true);
    }
    return { name, dtype, shape, data };
  });
}

function make(dice: Dice): Uint8Array {
  const family = structuredClone(dice.pick(FAMILIES));
  const isGrown = dice.chance(0.7);
  const { layers, outputs, imageSize } = isGrown
    ? grown(dice)
    : { ...family, imageSize: family.preprocessing.imageSize };
  for (let i = dice.pick([0, 0, 1, 1, 2, 3]); i > 0 && layers.length > 0; i--) changeList(dice, layers);
  const named = dice.chance(0.95) ? outputs : mutatedJson(dice, outputs, 1);
  const logits = layers.find((one: Json) => one?.name === named?.logits);
  const classes = logits?.outputs ?? (named?.logits === undefined ? 0 : 16);
  const json = {
    ...family,
    layers,
    outputs: named,
    preprocessing: { ...family.preprocessing, imageSize },
    architecture: { ...family.architecture, imageSize, classes },
    labels: Array.from({ length: Math.min(classes, 200) }, (_, i) => `class ${i}`),
  };
  const metadata = { fqvit: JSON.stringify(json), sha256: '0'.repeat(64) };
  return sealed(writeSafetensors(tensorsFor(dice, layers, imageSize), metadata));
}

const picture = (side: number, seed: number) =>
  Uint8Array.from({ length: side * side * 3 }, (_, i) => Math.imul(i + seed, 2654435761) >>> 24);

/** What each step makes, on one tier, with as many parts of each step, the last part first. */
async function outputsOf(
  plan: ModelPlan,
  module: WebAssembly.Module,
  parts: number,
  garbage: number,
): Promise<Uint8Array[]> {
  const memory = plan.memory.allocate();
  const kernels = await instantiateKernels(module, memory);
  for (const fill of plan.fills) fill(memory.buffer, kernels);
  const bytes = new Uint8Array(memory.buffer);
  const isKept = new Set(['constant', 'tokens']);
  const kept = new Set(
    plan.model.program.layers.filter(({ kind }) => isKept.has(kind)).map(({ name }) => name),
  );
  for (const [name, { address, rows, stride }] of plan.buffers)
    if (!kept.has(name)) bytes.fill(garbage, address, address + rows * stride);
  const { imageSize } = plan;
  bytes.set(picture(imageSize, 1), plan.activation('pixels').address);
  const found: Uint8Array[] = [];
  for (const step of plan.steps) {
    bytes.fill(garbage, plan.scratch, plan.scratch + plan.scratchBytes);
    const before = parts === 1 ? bytes.slice() : undefined;
    for (let index = parts - 1; index >= 0; index--)
      execute(link(step.calls(plan.part(index, parts)), kernels));
    const { address, rows, columns, stride } = plan.activation(step.output);
    if (before !== undefined) {
      before.set(bytes.subarray(address, address + rows * stride), address);
      before.set(bytes.subarray(plan.scratch, plan.scratch + step.scratchBytes), plan.scratch);
      expectThat(Buffer.compare(before, bytes) === 0, `${step.kernel} writes elsewhere`);
    }
    const width = plan.type(step.output).element === 'fine' ? 2 * columns : columns;
    const skipped = bytesSkipped(plan.type(step.output), width / columns);
    for (let row = 0; row < rows; row++) {
      found.push(bytes.slice(address + row * stride + skipped(row), address + row * stride + width));
    }
  }
  return found;
}

/** How many first bytes of a row are not computed. */
function bytesSkipped({ partial }: IntegerActivation, size: number): (row: number) => number {
  return (row) => (partial !== undefined && row >= partial.rows ? size * partial.columns : 0);
}

export const program: Target = {
  name: 'program',
  about: 'Programs of integer checkpoints: layers at random, tiers and threads equal',
  inputs: 200,
  codes: [
    ...CONTAINER_CODES,
    ...['MODEL_DESCRIPTION', 'MODEL_KIND', 'MODEL_SHAPE', 'MODEL_TENSORS', 'MODEL_VALUE', 'MODEL_VERSION'],
    ...['MODEL_DIGEST', 'MEMORY'],
  ],
  place: /^bytes: /,
  make,
  async check(input) {
    const model = await load(input, { tier: 'simd', wasm: MODULES.get('simd')! });
    const { imageSize } = model.info.preprocessing;
    const run = () => [...model.featuresOfPixels(picture(imageSize, 1))];
    expectThat(same(run(), run()), 'another answer the second time');
    model.dispose();
    const stored = readIntegerModel(input);
    const [one, three] = [new ModelPlan(stored), new ModelPlan(stored, 3)];
    let expected: Uint8Array[] | undefined;
    for (const [tier, module] of MODULES) {
      for (const [plan, parts] of [
        [one, 1],
        [three, 3],
      ] as const) {
        const found = await outputsOf(plan, module, parts, parts === 1 ? 0x55 : 0xe3);
        expected ??= found;
        const at = found.findIndex((row, i) => Buffer.compare(row, expected![i]!) !== 0);
        expectThat(at < 0, `${tier} with ${parts} parts differs from ${TIERS[0]} in row ${at} of all steps`);
      }
    }
    return undefined;
  },
};
