/**
 * Integer checkpoints: whatever is accepted is planned and runs, with the same codes on every tier.
 */

import type { Recipe } from '../../../src/checkpoint/integer/description.js';
import { readSafetensors } from '../../../src/checkpoint/safetensors/safetensors.js';
import { load, type Model } from '../../../src/model/model.js';
import { readModule, TIERS } from '../../support/kernel-modules.js';
import {
  EIGHTHS,
  RECIPE,
  tinyIntegerFile,
  tinySwinIntegerFile,
  UNIFORM,
  withDescription,
  withDescriptionText,
  withTensors,
} from '../../support/tiny-integer.js';
import type { Dice } from '../dice.js';
import { type Json, jsonText, mutatedJson, oddText } from '../mutate.js';
import { expectThat, same, type Target } from '../target.js';
import { CONTAINER_CODES, damaged } from './safetensors.js';

const NARROW: Recipe = { ...RECIPE, weightBits: 7, activationBits: 7 };

const BASES: readonly (() => Uint8Array)[] = [
  () => tinyIntegerFile(),
  () => tinyIntegerFile({ family: 'vit', grid: 3, depth: 1, classes: 5 }, UNIFORM),
  () => tinyIntegerFile({ dim: 24, heads: 3, mlpDim: 40, grid: 1 }, EIGHTHS),
  () => tinyIntegerFile({ grid: 4 }, NARROW),
  () => tinyIntegerFile({ grid: 2, depth: 1 }, { ...RECIPE, weightBits: 4 }),
  () => tinyIntegerFile({ dim: 8, heads: 1, depth: 3, classes: 1 }, { ...EIGHTHS, weightBits: 5 }),
  () => tinySwinIntegerFile(),
  () => tinySwinIntegerFile({ depths: [1, 1], window: 2 }, EIGHTHS),
  () => tinySwinIntegerFile({ depths: [2], heads: [2], window: 8 }, NARROW),
  () => tinySwinIntegerFile({ imageSize: 8, depths: [2, 1] }, { ...UNIFORM, weightBits: 4 }),
];
const made = new Map<number, Uint8Array>();

function base(dice: Dice): Uint8Array {
  const at = dice.below(BASES.length);
  const file = made.get(at) ?? BASES[at]!();
  made.set(at, file);
  return file;
}

/** Other values of a tensor, most of them in the range of its type. */
function fill(dice: Dice, data: Uint8Array): void {
  const at = dice.below(data.length + 1);
  const end = dice.chance(0.5) ? data.length : Math.min(data.length, at + dice.pick([1, 4, 16]));
  const start = dice.chance(0.5) ? 0 : at;
  switch (dice.below(4)) {
    case 0:
      data.fill(dice.pick([0, 1, 127, 128, 255, 3, 16, 31]), start, end);
      break;
    case 1:
      data.set(dice.bytes(Math.max(0, end - start)), start);
      break;
    case 2: {
      const words = new DataView(data.buffer, data.byteOffset, data.length);
      for (let i = start - (start % 4); i + 4 <= end; i += 4) words.setInt32(i, dice.oddInteger(), true);
      break;
    }
    default:
      data.subarray(start, end).reverse();
  }
}

/** Numbers that the kernels use, at the ends of their ranges. */
function extremeNumbers(dice: Dice, json: Json): void {
  for (let i = dice.between(1, 4); i > 0; i--) {
    const one = dice.pick(json.layers as Json[]);
    const numbers = Object.keys(one).filter((key) => typeof one[key] === 'number');
    if (numbers.length === 0) return;
    const key = dice.pick(numbers);
    const value = one[key];
    one[key] = dice.pick([
      value,
      0,
      1,
      255,
      31,
      30,
      62,
      2 ** 31 - 1,
      -(2 ** 31),
      -1,
      value + 1,
      value * 2,
      1e-30,
      1e30,
    ]);
  }
}

function changed(dice: Dice, file: Uint8Array): Uint8Array {
  switch (dice.below(8)) {
    case 0:
    case 1:
    case 2:
      return withTensors(file, (tensors) => {
        for (let i = dice.between(1, 6); i > 0; i--) fill(dice, dice.pick([...tensors.values()]).data);
      });
    case 3:
      return withDescription(file, (json) => extremeNumbers(dice, json));
    case 4:
      return withDescription(file, (json) => {
        const key = dice.pick(['architecture', 'recipe', 'preprocessing']);
        json[key] = mutatedJson(dice, json[key]);
      });
    case 5: {
      const json = JSON.parse(readSafetensors(file).metadata.fqvit!);
      const text = jsonText(dice, mutatedJson(dice, json));
      return withDescriptionText(file, () => text.replaceAll(/\p{Surrogate}/gu, '?'));
    }
    case 6:
      return withTensors(file, (tensors) => {
        const name = dice.pick([...tensors.keys()]);
        const tensor = tensors.get(name)!;
        const other = dice.pick([...tensors.keys()]);
        tensors.delete(name);
        if (dice.chance(0.3)) return;
        const renamed = dice.pick([
          name,
          other,
          `${name}x`,
          `x${oddText(dice).replaceAll(/[\p{C}_]/gu, '')}`,
        ]);
        const shape = dice.pick([tensor.shape, [tensor.data.length], [...tensor.shape].reverse()]);
        const dtype = dice.pick([tensor.dtype, 'I8', 'U8'] as const);
        const elements = shape.reduce((product, n) => product * n, 1);
        const size = elements * (dtype.endsWith('8') ? 1 : 4);
        const data = new Uint8Array(size);
        data.set(tensor.data.subarray(0, size));
        tensors.set(renamed, { name: renamed, dtype, shape, data });
      });
    default:
      return damaged(dice, file);
  }
}

const MODULES = new Map(TIERS.map((tier) => [tier, new WebAssembly.Module(readModule(tier))]));

/** What a model makes of two pictures: the codes of its logits, else of its features. */
function answers(model: Model, pictures: readonly Uint8Array[]): number[] {
  return pictures.flatMap((pixels) =>
    model.info.architecture.classes > 0
      ? [...model.codesOfPixels(pixels)]
      : [...model.featuresOfPixels(pixels)],
  );
}

function picture(side: number, seed: number): Uint8Array {
  return Uint8Array.from({ length: side * side * 3 }, (_, i) => Math.imul(i + seed, 2654435761) >>> 24);
}

async function checkAttention(model: Model, data: Uint8Array): Promise<void> {
  const { family, imageSize, patchSize } = model.info.architecture;
  if (family === 'swin') return;
  const { side, weights } = await model.attention({ width: imageSize, height: imageSize, data });
  expectThat(side === imageSize / patchSize && weights.length === side * side, `an attention map of ${side}`);
  expectThat(
    weights.every((weight) => weight >= 0 && Number.isFinite(weight)),
    'an attention map with other numbers',
  );
}

export const integerCheckpoint: Target = {
  name: 'integer-checkpoint',
  about: 'Integer checkpoints: read, plan, run, tiers equal',
  inputs: 150,
  codes: [
    ...CONTAINER_CODES,
    ...[
      'MODEL_DESCRIPTION',
      'MODEL_DIGEST',
      'MODEL_KIND',
      'MODEL_SHAPE',
      'MODEL_TENSORS',
      'MODEL_VALUE',
      'MODEL_VERSION',
      'MEMORY',
    ],
  ],
  place: /^bytes: /,
  make(dice) {
    const file = base(dice);
    return dice.chance(0.95) ? changed(dice, file) : file;
  },
  async check(input) {
    let expected: number[] | undefined;
    for (const [tier, wasm] of MODULES) {
      const model = await load(input, { tier, wasm });
      const { imageSize } = model.info.preprocessing;
      const pictures = [picture(imageSize, 1), new Uint8Array(imageSize * imageSize * 3).fill(255)];
      const found = answers(model, pictures);
      if (tier === 'simd') {
        expectThat(same(answers(model, pictures), found), 'another answer the second time');
        await checkAttention(model, pictures[0]!);
      }
      model.dispose();
      expected ??= found;
      expectThat(same(found, expected), `tiers differ: ${tier} and ${TIERS[0]}`);
    }
    return undefined;
  },
  async control() {
    const model = await load(BASES[0]!(), { tier: 'simd' });
    const found = answers(model, [picture(model.info.preprocessing.imageSize, 1)]);
    model.dispose();
    control ??= found;
    expectThat(same(found, control), 'a sound checkpoint gives another answer');
  },
};

let control: number[] | undefined;
