import { readFloatModel } from '../../src/checkpoint/float-model.js';
import type { IntegerModel } from '../../src/checkpoint/integer-model.js';
import { readSafetensors } from '../../src/checkpoint/safetensors.js';
import { asUint8 } from '../../src/checkpoint/typed-views.js';
import { integerize } from '../../src/quantize/integerize.js';
import type { Quantizer } from '../../src/quantize/observers.js';
import { readShared, readSharedJson } from './shared.js';

interface GoldenQuantizers {
  quantizers: Record<string, { scale: number; zero_point: number; ptf?: number[] }>;
}

/** The simulator's quantisers of DeiT-Tiny. */
export function goldenQuantizers(observer: string): Map<string, Quantizer> {
  const { quantizers } = readSharedJson<GoldenQuantizers>(`golden/deit_tiny/quantizers_${observer}.json`);
  return new Map(
    Object.entries(quantizers).map(([name, { scale, zero_point, ptf }]) => [
      name,
      { scale, zeroPoint: zero_point, ...(ptf ? { factors: Uint8Array.from(ptf) } : {}) },
    ]),
  );
}

/** DeiT-Tiny in integers, made from the float weights and the simulator's scales. */
export function goldenModel(): IntegerModel {
  const file = 'models/deit_tiny_patch16_224.safetensors';
  return integerize(readFloatModel(readShared(file), { file }), goldenQuantizers('minmax'), {
    method: 'fq',
    observer: 'minmax',
    ptf: true,
    attention: 'log2',
    calibrationImages: 64,
    seed: null,
    sourceSha256: '0'.repeat(64),
  });
}

/** The simulator's codes of every quantiser for one picture. */
export function goldenCodes(): Map<string, Uint8Array> {
  const { tensors } = readSafetensors(readShared('golden/deit_tiny/codes.safetensors'));
  return new Map([...tensors].map(([name, tensor]) => [name, asUint8(tensor)]));
}
