import { type Architecture, pooledTokens, swinStages, tokenCount } from '../architecture/architecture.js';
import type { FloatModel } from '../checkpoint/float/model.js';
import type { FloatTensor } from '../checkpoint/float/tensor.js';
import { plainSwin, swinNames, swinShape } from '../checkpoint/names/swin-names.js';
import { plainVit, vitNames, vitShape } from '../checkpoint/names/vit-names.js';

/** Values from -1 to 1, the same in every run. */
export function randomSequence(): () => number {
  let state = 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

/** Pixels of noise, uint8 `[size, size, 3]`, the same in every run. */
export function noise(size: number): Uint8Array {
  const next = randomSequence();
  return Uint8Array.from({ length: 3 * size * size }, () => 128 + 127 * next());
}

/**
 * Float tensors of an architecture, under the canonical names, with generated values: matrices of
 * unit gain, LayerNorm weights about 1, all others about 0. Time and memory do not depend on them.
 */
export function generatedTensors(architecture: Architecture): Map<string, FloatTensor> {
  const next = randomSequence();
  const shapes = architecture.family === 'swin' ? swinShapes(architecture) : vitShapes(architecture);
  return new Map(
    shapes.map(([name, shape]) => {
      const fanIn = shape.slice(1).reduce((a, b) => a * b, 1);
      const isNorm = /norm\d?\.weight$/.test(name);
      const spread = isNorm ? 0.5 : name.endsWith('.weight') ? Math.sqrt(3 / fanIn) : 0.2;
      const length = shape.reduce((a, b) => a * b, 1);
      const data = Float32Array.from({ length }, () => Number(isNorm) + spread * next());
      return [name, { shape, data }];
    }),
  );
}

/** A float model of an architecture with {@link generatedTensors}. */
export function generatedModel(
  architecture: Architecture,
  preprocessing: FloatModel['preprocessing'],
): FloatModel {
  return {
    architecture: { ...architecture, layerNormEps: 1e-6 },
    preprocessing,
    labels: Array.from({ length: architecture.classes }, (_, i) => String(i)),
    output: 'softmax',
    warnings: [],
    tensors: generatedTensors(architecture),
  };
}

type NamedShape = readonly [name: string, shape: readonly number[]];

function vitShapes(architecture: Exclude<Architecture, { family: 'swin' }>): NamedShape[] {
  const { dim, mlpDim, depth, classes, patchSize, prefix = 1 } = architecture;
  const positions = tokenCount(architecture);
  const sizes = { dim, mlpDim, classes, patchSize, positions, registers: 0 };
  const features = dim * Math.max(1, pooledTokens(architecture));
  const parts = {
    ...plainVit(depth),
    tokens: prefix > 0 ? ['cls_token'] : [],
    heads: classes > 0 ? ['head'] : [],
  };
  return vitNames(parts).map((name) => {
    if (name === 'cls_token') return [name, [1, prefix, dim]];
    if (name === 'head.weight') return [name, [classes, features]];
    return [name, vitShape(name, sizes)];
  });
}

function swinShapes(architecture: Architecture & { family: 'swin' }): NamedShape[] {
  const { depths, classes } = architecture;
  const windows = swinStages(architecture).map(({ window }) => window);
  return swinNames({ ...plainSwin(depths), hasHead: classes > 0 }).map((name) => [
    name,
    swinShape(name, { ...architecture, windows }),
  ]);
}
