/** Float checkpoints in safetensors: names, configs and values of every library that is read. */

import {
  readSafetensors,
  type Tensor,
  writeSafetensors,
} from '../../../src/checkpoint/safetensors/safetensors.js';
import { renamed, SWIN_RENAMINGS, VIT_RENAMINGS } from '../../checkpoint/renamed.js';
import { tinyFloatFile, tinySwinFile } from '../../support/tiny-integer.js';
import type { Dice } from '../dice.js';
import { jsonText, mutatedJson, mutatedText, oddText } from '../mutate.js';
import type { Target } from '../target.js';
import { checkFloat, FLOAT_CODES, FLOAT_PLACE } from './float.js';
import { damaged } from './safetensors.js';

const VIT = tinyFloatFile();
const SWIN = tinySwinFile();

const BASES: readonly Uint8Array[] = [
  VIT,
  SWIN,
  tinyFloatFile({
    family: 'vit',
    grid: 3,
    depth: 1,
    config: { global_pool: 'token', labels: ['a', 'b', 'c'] },
  }),
  ...Object.values(VIT_RENAMINGS).map((renaming) => under(VIT, renaming)),
  ...Object.values(SWIN_RENAMINGS).map((renaming) => under(SWIN, renaming)),
];

function under(file: Uint8Array, renaming: Parameters<typeof renamed>[1]): Uint8Array {
  const { tensors, metadata } = readSafetensors(file);
  return writeSafetensors(renamed(tensors.values(), renaming), metadata);
}

/** UTF-8 has no halves of pairs. */
const noSurrogates = (text: string) => text.replaceAll(/\p{Surrogate}/gu, '');

const ODD_FLOATS = [Number.NaN, Number.POSITIVE_INFINITY, 0, -0, 1e38, -3.4e38, 1e-45, 1, 65504];

function changedTensors(dice: Dice, tensors: Tensor[]): Tensor[] {
  const at = dice.below(tensors.length);
  const tensor = tensors[at]!;
  const replaced = (...others: Tensor[]) => [...tensors.slice(0, at), ...others, ...tensors.slice(at + 1)];
  switch (dice.below(8)) {
    case 0: {
      const data = tensor.data.slice();
      const view = new DataView(data.buffer);
      for (let i = dice.between(1, 4); i > 0 && data.length >= 4; i--)
        view.setFloat32(4 * dice.below(data.length >> 2), dice.pick(ODD_FLOATS), true);
      return replaced({ ...tensor, data });
    }
    case 1:
      return replaced();
    case 2:
      return replaced({
        ...tensor,
        name: noSurrogates(mutatedText(dice, tensor.name, 1)),
      });
    case 3:
      return replaced({ ...tensor, shape: [...tensor.shape].reverse() });
    case 4: {
      const [rows = 1, ...rest] = tensor.shape;
      const count = dice.pick([0, 1, rows + 1, rows - 1, rows * 2]);
      const data = new Uint8Array((tensor.data.length / rows) * count);
      data.set(tensor.data.subarray(0, data.length));
      return replaced({ ...tensor, shape: [count, ...rest], data });
    }
    case 5: {
      const dtype = dice.pick(['F16', 'BF16', 'F64', 'I64', 'I8', 'U8', 'BOOL'] as const);
      const bytes = { F16: 2, BF16: 2, F64: 8, I64: 8, I8: 1, U8: 1, BOOL: 1 }[dtype];
      return replaced({
        ...tensor,
        dtype,
        data: dice.bytes(tensor.shape.reduce((product, n) => product * n, bytes)),
      });
    }
    case 6: {
      const prefix = dice.pick([
        'model.',
        'module.',
        '_orig_mod.',
        'state_dict.',
        'ema.',
        '0.',
        `${oddText(dice)}.`,
      ]);
      const all = dice.chance(0.5) ? tensors : [];
      const renamed = tensors.map((one) => ({
        ...one,
        name: noSurrogates(prefix) + one.name,
      }));
      return [...all, ...renamed];
    }
    default:
      return [
        ...tensors,
        {
          ...tensor,
          name: `${tensor.name}.${dice.pick(['gamma', 'extra', 'lora_A', 'weight_g', `mlp.w12.${noSurrogates(oddText(dice))}`])}`,
        },
      ];
  }
}

export const floatCheckpoint: Target = {
  name: 'float-checkpoint',
  about: 'Float checkpoints in safetensors: names, config, values',
  inputs: 400,
  codes: FLOAT_CODES,
  place: FLOAT_PLACE,
  make(dice) {
    const file = dice.pick(BASES);
    if (!dice.chance(0.95)) return file;
    if (dice.chance(0.2)) return damaged(dice, file);
    const { tensors, metadata } = readSafetensors(file);
    let all = [...tensors.values()];
    let config = metadata.fqvit!;
    if (dice.chance(0.5)) config = jsonText(dice, mutatedJson(dice, JSON.parse(config)));
    else for (let i = dice.between(1, 3); i > 0 && all.length > 0; i--) all = changedTensors(dice, all);
    const unique = [...new Map(all.map((tensor) => [tensor.name, tensor])).values()];
    return writeSafetensors(
      unique.filter(({ name }) => name !== '__metadata__'),
      { fqvit: config.replaceAll(/\p{Surrogate}/gu, '?') },
    );
  },
  check: (input) => checkFloat(input),
};
