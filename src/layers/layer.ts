import type { AddLayer } from './add/layer.js';
import type { BiasLayer } from './bias/layer.js';
import type { ConstantLayer } from './constant/layer.js';
import type { ContextLayer } from './context/layer.js';
import type { GeluLayer } from './gelu/layer.js';
import type { LayerNormLayer } from './layernorm/layer.js';
import type { LinearLayer } from './linear/layer.js';
import type { PatchesLayer } from './patches/layer.js';
import type { PoolLayer } from './pool/layer.js';
import type { ScoresLayer } from './scores/layer.js';
import type { SoftmaxLayer } from './softmax/layer.js';
import type { TokensLayer } from './tokens/layer.js';

/** What the quantiser must know of a layer. */
export interface Hints {
  /** It belongs to the residual stream: each channel has a power-of-two factor (PTF). */
  readonly factors?: true;
  /** The residual block that it belongs to. The last layer of a block makes its output. */
  readonly block?: string;
  /** Its place in the block, the same in every block, if `best` searches its range. */
  readonly search?: string;
}

/** A layer of a network: plain data. */
export type Layer = AnyKind & Hints;

type AnyKind =
  | PatchesLayer
  | TokensLayer
  | ConstantLayer
  | LinearLayer
  | ScoresLayer
  | BiasLayer
  | SoftmaxLayer
  | ContextLayer
  | AddLayer
  | LayerNormLayer
  | GeluLayer
  | PoolLayer;

export type LayerKindName = Layer['kind'];
