import type { QuantizerScale } from '../integer-activation.js';
import {
  CODE_KEYS,
  codesOf,
  expectCodes,
  expectEights,
  factorsOf,
  type IntegerKind,
  type Product,
  parseFlag,
  parseProduct,
  parseScale,
} from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { LIMITS } from '../limits.js';
import { poolShape } from './layer.js';

/** One multiplier for all channels, which holds 1/rows: the mean keeps power-of-two factors. */
export interface IntegerPool extends LayerBase<'pool'>, Product, QuantizerScale {
  readonly skip: number;
  readonly factors?: true;
}

export const pool: IntegerKind<IntegerPool> = {
  operands: 1,
  parse(json) {
    json.onlyKeys(['skip', 'multiplier', 'left', 'right', 'factors', ...CODE_KEYS]);
    return {
      skip: json.integer('skip', 0, LIMITS.prefix),
      ...parseProduct(json),
      ...parseFlag(json, 'factors'),
      ...parseScale(json),
    };
  },
  rule(layer, reads, { refuse }) {
    const shape = poolShape(layer, reads, refuse);
    expectEights(shape.columns, refuse);
    expectCodes(reads[0]!, refuse, layer.factors);
    const factors = factorsOf(layer, shape.columns);
    return {
      activation: codesOf(shape, { ...layer, factors: factors.name }, refuse),
      tensors: factors.tensors,
      elements: (reads[0]!.rows * shape.columns) / 8,
    };
  },
  plan(layer, plan) {
    const { skip, multiplier, left, right, zeroPoint } = layer;
    const [input] = plan.inputs(layer);
    const { columns, rows } = input!;
    const { zeroPoint: z } = plan.type(layer.reads[0]!);
    const out = plan.output(layer);
    plan.step(layer, {
      kernel: 'pool',
      calls: ({ index }) => {
        const first = input!.address + skip * columns;
        return index > 0
          ? []
          : [['pool', first, z, multiplier, left, right, out.address, zeroPoint, rows - skip, columns]];
      },
    });
  },
};
