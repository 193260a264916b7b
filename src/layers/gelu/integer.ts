import { share } from '../../runtime/calls.js';
import type { QuantizerScale } from '../integer-activation.js';
import {
  CODE_KEYS,
  codesNamed,
  codesOf,
  expectEights,
  type IntegerKind,
  parseBits,
  parseScale,
  prefixOf,
} from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { FINE_CODES } from '../linear/integer.js';
import { geluShape } from './layer.js';

/** `NAME.table`, u8 `[4096]`: the code of each fine code. */
export interface IntegerGelu extends LayerBase<'gelu'>, QuantizerScale {
  readonly bits?: 7;
}

export const gelu: IntegerKind<IntegerGelu> = {
  operands: 1,
  parse(json) {
    json.onlyKeys(['bits', ...CODE_KEYS]);
    return { ...parseBits(json), ...parseScale(json) };
  },
  rule(layer, reads, { refuse }) {
    const shape = geluShape(reads, refuse);
    expectEights(shape.columns, refuse);
    if (reads[0]!.element !== 'fine') refuse(`expected fine codes, found ${codesNamed(reads[0]!.element)}`);
    const activation = codesOf(shape, layer, refuse);
    const high = activation.highest;
    return {
      activation,
      tensors: [
        {
          name: `${prefixOf(layer)}.table`,
          dtype: 'U8',
          shape: [FINE_CODES],
          range: { low: 0, high, expected: `a code from 0 to ${high}` },
        },
      ],
      elements: (shape.rows * shape.columns) / 8,
    };
  },
  plan(layer, plan) {
    const [fine] = plan.inputs(layer);
    const out = plan.output(layer);
    const { rows, columns } = out;
    const table = plan.constant(`${prefixOf(layer)}.table`);
    plan.step(layer, {
      kernel: 'gelu',
      constants: [table],
      calls: (part) => {
        const [from, to] = share(rows, part);
        const at = from * columns;
        return [['gelu', fine!.address + 2 * at, table.address, out.address + at, (to - from) * columns]];
      },
    });
  },
};
