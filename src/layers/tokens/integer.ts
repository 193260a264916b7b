import { share } from '../../runtime/calls.js';
import type { QuantizerScale } from '../integer-activation.js';
import {
  CODE_KEYS,
  codesOf,
  expectCodes,
  expectEights,
  type IntegerKind,
  parseScale,
  prefixOf,
} from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { LIMITS } from '../limits.js';
import type { TensorSpec } from '../tensor-spec.js';
import { tokensShape } from './layer.js';

/**
 * `NAME.table`, u8 `[256]`: codes of the patches to codes of the tokens. `NAME.first`, u8
 * `[prefix, C]`: the constant tokens, if any.
 */
export interface IntegerTokens extends LayerBase<'tokens'>, QuantizerScale {
  readonly prefix: number;
}

export const tokens: IntegerKind<IntegerTokens> = {
  operands: 1,
  parse(json) {
    json.onlyKeys(['prefix', ...CODE_KEYS]);
    return { prefix: json.integer('prefix', 0, LIMITS.prefix), ...parseScale(json) };
  },
  rule(layer, reads, { refuse }) {
    const shape = tokensShape(layer, reads, refuse);
    expectEights(shape.columns, refuse);
    expectCodes(reads[0]!, refuse);
    const name = prefixOf(layer);
    const tensors: TensorSpec[] = [{ name: `${name}.table`, dtype: 'U8', shape: [256] }];
    if (layer.prefix > 0)
      tensors.push({ name: `${name}.first`, dtype: 'U8', shape: [layer.prefix, shape.columns] });
    return {
      activation: codesOf(shape, layer, refuse),
      tensors,
      elements: (shape.rows * shape.columns) / 8,
    };
  },
  plan(layer, plan) {
    const { prefix } = layer;
    const [patches] = plan.inputs(layer);
    const { columns, rows } = plan.type(layer.name);
    const first = prefix > 0 ? (plan.tensor(`${prefixOf(layer)}.first`) as Uint8Array) : new Uint8Array();
    // the constant tokens are written once
    const out = plan.keptOutput(layer, (memory) => memory.set(first));
    const table = plan.constant(`${prefixOf(layer)}.table`);
    plan.step(layer, {
      kernel: 'lookup',
      constants: [table],
      calls: (part) => {
        const [from, to] = share(rows - prefix, part);
        const at = from * columns;
        const start = out.address + prefix * columns + at;
        return [['lookup', patches!.address + at, table.address, start, (to - from) * columns]];
      },
    });
  },
};
