import { share } from '../../runtime/calls.js';
import type { QuantizerScale } from '../integer-activation.js';
import { CODE_KEYS, codesOf, expectCodes, type IntegerKind, parseScale } from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { biasShape } from './layer.js';

/** The multipliers of the scores and of the table, in Q(shift). */
export interface IntegerBias extends LayerBase<'bias'>, QuantizerScale {
  readonly multiplier: number;
  readonly biasMultiplier: number;
  readonly shift: number;
}

export const bias: IntegerKind<IntegerBias> = {
  operands: 2,
  parse(json) {
    json.onlyKeys(['multiplier', 'biasMultiplier', 'shift', ...CODE_KEYS]);
    return {
      multiplier: json.integer('multiplier', 0, 0x7fffffff),
      biasMultiplier: json.integer('biasMultiplier', 0, 0x7fffffff),
      shift: json.integer('shift', 1, 30),
      ...parseScale(json),
    };
  },
  rule(layer, reads, { refuse }) {
    const shape = biasShape(reads, refuse);
    for (const read of reads) expectCodes(read, refuse);
    return {
      activation: codesOf(shape, layer, refuse),
      tensors: [],
      elements: (shape.rows * shape.columns) / 8,
    };
  },
  plan(layer, plan) {
    const { multiplier, biasMultiplier, shift, zeroPoint } = layer;
    const [qk, table] = plan.inputs(layer);
    const [zq, zb] = layer.reads.map((name) => plan.type(name).zeroPoint);
    const { windows, heads, tokens } = plan.type(layer.name).heads!;
    const { stride } = qk!;
    const out = plan.output(layer, { stride });
    const window = Math.sqrt(tokens);
    const size = tokens * stride;
    plan.step(layer, {
      kernel: 'bias',
      scratchBytes: 4 * size,
      calls: (part) => {
        const isWhole = windows >= part.count;
        const [firstWindow, lastWindow] = isWhole ? share(windows, part) : [0, windows];
        const [firstHead, lastHead] = isWhole ? [0, heads] : share(heads, part);
        return Array.from({ length: lastHead - firstHead }, (_, i) => {
          const head = firstHead + i;
          const at = (firstWindow * heads + head) * size;
          return [
            'bias',
            qk!.address + at,
            zq!,
            multiplier,
            table!.address + head,
            heads,
            zb!,
            biasMultiplier,
            shift,
            out.address + at,
            zeroPoint,
            lastWindow - firstWindow,
            heads * size,
            window,
            stride,
            part.scratch,
          ];
        });
      },
    });
  },
};
