import { expect, test } from '@jest/globals';
import { readFloatModel } from '../../src/checkpoint/float/model.js';
import { readSafetensors } from '../../src/checkpoint/safetensors/safetensors.js';
import { asFloat32, asInt8 } from '../../src/checkpoint/safetensors/typed-views.js';
import { quantizeWeights } from '../../src/layers/linear/weights.js';
import { describeWithShared, readShared } from '../support/shared.js';

const FILES = ['models/deit_tiny_patch16_224.safetensors', 'golden/deit_tiny/weights.safetensors'];
describeWithShared('the weights of DeiT-Tiny', 1, FILES, () => {
  test("all have the simulator's codes and scales", () => {
    const { tensors: float } = readFloatModel(readShared('models/deit_tiny_patch16_224.safetensors'));
    const { tensors: golden } = readSafetensors(readShared('golden/deit_tiny/weights.safetensors'));
    const layers = [...golden.keys()].filter((name) => name.endsWith('.weight_code'));
    expect(layers).toHaveLength(50);
    for (const name of layers) {
      const expected = asFloat32(golden.get(name.replace('_code', '_scale'))!);
      const { codes, scales } = quantizeWeights(float.get(name.replace('_code', ''))!.data, expected.length);
      expect(differences(codes, asInt8(golden.get(name)!))).toBe(0);
      expect(differences(scales, expected)).toBe(0);
    }
  });
});

function differences(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).filter((value, i) => value !== b[i]).length + Math.abs(a.length - b.length);
}
