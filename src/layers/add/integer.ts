import { share } from '../../runtime/calls.js';
import type { QuantizerScale } from '../integer-activation.js';
import {
  CODE_KEYS,
  codesOf,
  expectCodes,
  expectEights,
  factorsOf,
  type IntegerKind,
  multipliers,
  parseFlag,
  parseScale,
  prefixOf,
} from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { addShape } from './layer.js';

/** `NAME.multiplier`, i32 `[2, C]`: of a, then of b, in Q(shift). */
export interface IntegerAdd extends LayerBase<'add'>, QuantizerScale {
  readonly shift: number;
  readonly factors?: true;
}

export const add: IntegerKind<IntegerAdd> = {
  operands: 2,
  parse(json) {
    json.onlyKeys(['shift', 'factors', ...CODE_KEYS]);
    return { shift: json.integer('shift', 1, 30), ...parseFlag(json, 'factors'), ...parseScale(json) };
  },
  rule(layer, reads, { refuse }) {
    const shape = addShape(reads, refuse);
    expectEights(shape.columns, refuse);
    for (const read of reads) expectCodes(read, refuse, true);
    const { columns } = shape;
    const factors = factorsOf(layer, columns);
    return {
      activation: codesOf(shape, { ...layer, factors: factors.name }, refuse),
      tensors: [multipliers(`${prefixOf(layer)}.multiplier`, [2, columns]), ...factors.tensors],
      elements: (shape.rows * columns) / 8,
    };
  },
  plan(layer, plan) {
    const { shift: right, zeroPoint } = layer;
    const [a, b] = plan.inputs(layer);
    const [{ zeroPoint: za }, { zeroPoint: zb, order }] = layer.reads.map((name) => plan.type(name)) as [
      ReturnType<typeof plan.type>,
      ReturnType<typeof plan.type>,
    ];
    const output = plan.output(layer);
    const { rows, columns } = output;
    const multiplier = plan.constant(`${prefixOf(layer)}.multiplier`);
    const ma = multiplier.address;
    const mb = ma + 4 * columns;
    plan.step(layer, {
      kernel: order === undefined ? 'add' : 'add_windows',
      constants: [multiplier],
      calls: (part) => {
        if (order === undefined) {
          const [from, to] = share(rows, part);
          const at = from * columns;
          return [
            [
              'add',
              a!.address + at,
              za,
              ma,
              b!.address + at,
              zb,
              mb,
              right,
              output.address + at,
              zeroPoint,
              to - from,
              columns,
            ],
          ];
        }
        const { side, window, shift } = order;
        const [from, to] = share(rows / window, part);
        return [
          [
            'add_windows',
            a!.address,
            za,
            ma,
            b!.address + from * window * columns,
            zb,
            mb,
            right,
            output.address,
            zeroPoint,
            columns,
            side,
            window,
            shift,
            from,
            to - from,
          ],
        ];
      },
    });
  },
};
