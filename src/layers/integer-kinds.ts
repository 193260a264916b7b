import { add, type IntegerAdd } from './add/integer.js';
import { bias, type IntegerBias } from './bias/integer.js';
import { constant, type IntegerConstant } from './constant/integer.js';
import { context, type IntegerContext } from './context/integer.js';
import { gelu, type IntegerGelu } from './gelu/integer.js';
import type { IntegerKind } from './integer-kind.js';
import { type IntegerLayerNorm, layernorm } from './layernorm/integer.js';
import { type IntegerLinear, linear } from './linear/integer.js';
import { type IntegerPatches, patches } from './patches/integer.js';
import { type IntegerPool, pool } from './pool/integer.js';
import { type IntegerScores, scores } from './scores/integer.js';
import { type IntegerSoftmax, softmax } from './softmax/integer.js';
import { type IntegerTokens, tokens } from './tokens/integer.js';

/** A layer of an integer network: plain data. Its tensors have its name as prefix. */
export type IntegerLayer =
  | IntegerPatches
  | IntegerTokens
  | IntegerConstant
  | IntegerLinear
  | IntegerScores
  | IntegerBias
  | IntegerSoftmax
  | IntegerContext
  | IntegerAdd
  | IntegerLayerNorm
  | IntegerGelu
  | IntegerPool;

type IntegerKinds = { readonly [K in IntegerLayer as K['kind']]: IntegerKind<K> };

const KINDS: IntegerKinds = {
  patches,
  tokens,
  constant,
  linear,
  scores,
  bias,
  softmax,
  context,
  add,
  layernorm,
  gelu,
  pool,
};

export const INTEGER_KIND_NAMES = Object.keys(KINDS) as readonly IntegerLayer['kind'][];

/** The kind of a layer. */
export function integerKind<L extends IntegerLayer>({ kind }: Pick<L, 'kind'>): IntegerKind<L> {
  return KINDS[kind] as unknown as IntegerKind<L>;
}
