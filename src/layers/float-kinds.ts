import type { FloatStep } from '../forward/float/pass.js';
import { addFloat } from './add/float.js';
import { biasFloat } from './bias/float.js';
import { constantFloat } from './constant/float.js';
import { contextFloat } from './context/float.js';
import type { FloatPlan } from './float-plan.js';
import { geluFloat } from './gelu/float.js';
import type { Layer } from './layer.js';
import { layerNormFloat } from './layernorm/float.js';
import { linearFloat } from './linear/float.js';
import { patchesFloat } from './patches/float.js';
import { poolFloat } from './pool/float.js';
import { scoresFloat } from './scores/float.js';
import { type Shape, windowsOf } from './shape.js';
import { softmaxFloat } from './softmax/float.js';
import { tokensFloat } from './tokens/float.js';

export type { FloatStep };

/** The float side of a kind of layer. */
interface FloatKind {
  /** Reserves the parameters and the output of a layer. */
  plan(layer: Layer, plan: FloatPlan): FloatStep;
  /** Whether its step shows the activation itself. */
  readonly showsItself?: true;
}

type FloatKinds = {
  readonly [L in Layer as L['kind']]: Omit<FloatKind, 'plan'> & {
    plan(layer: L, plan: FloatPlan): FloatStep;
  };
};

const KINDS: FloatKinds = {
  patches: { plan: patchesFloat, showsItself: true },
  tokens: { plan: tokensFloat },
  constant: { plan: constantFloat },
  linear: { plan: linearFloat },
  scores: { plan: scoresFloat },
  bias: { plan: biasFloat },
  softmax: { plan: softmaxFloat },
  context: { plan: contextFloat },
  add: { plan: addFloat },
  layernorm: { plan: layerNormFloat },
  gelu: { plan: geluFloat },
  pool: { plan: poolFloat },
};

export function floatKind({ kind }: Layer): FloatKind {
  return KINDS[kind] as FloatKind;
}

/**
 * The shape that an observer sees: the batch first; for tensors in window order, the batch times
 * the windows of an image; for a parameter, 1.
 */
export function shownShape({ kind }: Layer, shape: Shape, batch: number): number[] {
  const { rows, columns, heads, order } = shape;
  if (kind === 'constant') return [1, rows, columns];
  if (heads !== undefined) return [batch * heads.windows, heads.heads, heads.queries, columns];
  if (order !== undefined) return [batch * windowsOf(shape).windows, windowsOf(shape).tokens, columns];
  return rows === 1 ? [batch, columns] : [batch, rows, columns];
}
