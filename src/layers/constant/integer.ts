import type { QuantizerScale } from '../integer-activation.js';
import { CODE_KEYS, codesOf, type IntegerKind, parseScale, prefixOf } from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { LIMITS } from '../limits.js';
import { constantShape } from './layer.js';

/** `NAME.codes`, u8 `[rows, columns]`. */
export interface IntegerConstant extends LayerBase<'constant'>, QuantizerScale {
  readonly shape: readonly [rows: number, columns: number];
}

export const constant: IntegerKind<IntegerConstant> = {
  operands: 0,
  parse(json) {
    json.onlyKeys(['shape', ...CODE_KEYS]);
    return { shape: json.pair('shape', 1, LIMITS.rows), ...parseScale(json) };
  },
  rule(layer, _, { refuse }) {
    return {
      activation: codesOf(constantShape(layer), layer, refuse),
      tensors: [{ name: `${prefixOf(layer)}.codes`, dtype: 'U8', shape: layer.shape }],
    };
  },
  plan(layer, plan) {
    plan.constantOutput(layer, plan.constant(`${prefixOf(layer)}.codes`));
  },
};
