import { type FloatModel, readFloatModel } from '../../src/checkpoint/float/model.js';
import type { IntegerModel } from '../../src/checkpoint/integer/model.js';
import { readSafetensors, type Tensor } from '../../src/checkpoint/safetensors/safetensors.js';
import { asUint8 } from '../../src/checkpoint/safetensors/typed-views.js';
import { integerize } from '../../src/quantize/integerize.js';
import type { Quantizer } from '../../src/quantize/observers.js';
import { readShared, readSharedJson } from './shared.js';
import { RECIPE } from './tiny-integer.js';

interface GoldenQuantizers {
  quantizers: Record<string, { scale: number; zero_point: number; ptf?: number[] }>;
}

/**
 * The models that the simulator ran: folder in golden/, float weights, and what the weights do not
 * say.
 */
const GOLDEN = {
  deit_tiny: { file: 'models/deit_tiny_patch16_224.safetensors', config: {} },
  swin_micro: { file: 'models/swin_micro.safetensors', config: { layer_norm_eps: 1e-6, image_size: 56 } },
};

export type GoldenName = keyof typeof GOLDEN;

/** What `goldenModel` reads, relative to ../shared. */
export function goldenFiles(model: GoldenName): string[] {
  return [GOLDEN[model].file, `golden/${model}/quantizers_minmax.json`];
}

/** The simulator's quantisers. */
export function goldenQuantizers(observer: string, model: GoldenName = 'deit_tiny'): Map<string, Quantizer> {
  const { quantizers } = readSharedJson<GoldenQuantizers>(`golden/${model}/quantizers_${observer}.json`);
  return new Map(
    Object.entries(quantizers).map(([name, { scale, zero_point, ptf }]) => [
      name,
      { scale, zeroPoint: zero_point, ...(ptf ? { factors: Uint8Array.from(ptf) } : {}) },
    ]),
  );
}

export function goldenFloat(model: GoldenName = 'deit_tiny'): FloatModel {
  const { file, config } = GOLDEN[model];
  return readFloatModel(readShared(file), { file, config });
}

/** The integer model, made from the float weights and the simulator's scales. */
export function goldenModel(model: GoldenName = 'deit_tiny'): IntegerModel {
  return integerize(goldenFloat(model), goldenQuantizers('minmax', model), {
    ...RECIPE,
    calibrationImages: 64,
  });
}

/** The tensors of a file of the simulator, by name. */
export function goldenTensors(file: string, model: GoldenName = 'deit_tiny'): Map<string, Tensor> {
  return new Map(readSafetensors(readShared(`golden/${model}/${file}.safetensors`)).tensors);
}

/** The simulator's codes of one picture, for every quantiser. */
export function goldenCodes(model: GoldenName = 'deit_tiny'): Map<string, Uint8Array> {
  return new Map([...goldenTensors('codes', model)].map(([name, tensor]) => [name, asUint8(tensor)]));
}
