import { share } from '../../runtime/calls.js';
import { roundUp } from '../../runtime/sizes.js';
import type { QuantizerScale } from '../integer-activation.js';
import { CODE_KEYS, codesOf, type IntegerKind, parseScale, prefixOf } from '../integer-kind.js';
import type { LayerBase } from '../layer-base.js';
import { LIMITS } from '../limits.js';
import { PIXELS, patchesShape } from './layer.js';

/** `NAME.table`, u8 `[3, 256]`: the code of each pixel value of each channel. */
export interface IntegerPatches extends LayerBase<'patches'>, QuantizerScale {
  readonly patch: number;
}

export const patches: IntegerKind<IntegerPatches> = {
  operands: 0,
  parse(json) {
    json.onlyKeys(['patch', ...CODE_KEYS]);
    return { patch: json.integer('patch', 1, LIMITS.patchSize), ...parseScale(json) };
  },
  rule(layer, _, { imageSize, refuse }) {
    const shape = patchesShape(layer, imageSize, refuse);
    return {
      activation: codesOf(shape, layer, refuse),
      tensors: [{ name: `${prefixOf(layer)}.table`, dtype: 'U8', shape: [3, 256] }],
      elements: shape.rows * shape.columns,
    };
  },
  plan(layer, plan) {
    const { patch, zeroPoint } = layer;
    const { imageSize } = plan;
    const out = plan.output(layer, { stride: roundUp(3 * patch ** 2, 8) });
    const table = plan.constant(`${prefixOf(layer)}.table`);
    plan.step(layer, {
      kernel: 'patches',
      reads: [PIXELS],
      constants: [table],
      calls: (part) => {
        const [from, to] = share(out.rows, part);
        const at = out.address + from * out.stride;
        return [
          [
            'patches',
            plan.activation(PIXELS).address,
            table.address,
            zeroPoint,
            imageSize,
            patch,
            out.stride,
            from,
            to - from,
            at,
          ],
        ];
      },
    });
  },
};
