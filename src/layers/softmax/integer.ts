import { inGroups, type KernelCall, share } from '../../runtime/calls.js';
import { SOFTMAX_SCRATCH } from '../../runtime/kernel-sizes.js';
import { ELEMENT_MACS } from '../../runtime/passes.js';
import { roundUp } from '../../runtime/sizes.js';
import { ATTENTION_CODES, type AttentionCodes, type IntegerActivation } from '../integer-activation.js';
import { expectCodes, type IntegerKind, prefixOf } from '../integer-kind.js';
import type { IntegerPlan, PlacedConstant } from '../integer-plan.js';
import type { LayerBase } from '../layer-base.js';
import type { Shape } from '../shape.js';
import { areNeighbours, type WindowEdge, windowEdge } from '../windows.js';
import { softmaxShape } from './layer.js';

/**
 * `NAME.table`, u32 `[256]`: the exponential of each distance from the highest score. `levels`, for
 * uniform codes, is the inverse of their scale in Q12; `slope`, for eighths, is how many 2048ths of
 * an octave a score's code is worth.
 */
export interface IntegerSoftmax extends LayerBase<'softmax'> {
  readonly codes: AttentionCodes;
  readonly levels?: number;
  readonly slope?: number;
  /** Of uniform codes, whose zero point is 0. */
  readonly scale?: number;
}

export const softmax: IntegerKind<IntegerSoftmax> = {
  operands: 1,
  parse(json) {
    const codes = json.oneOf('codes', ATTENTION_CODES);
    switch (codes) {
      case 'log2':
        json.onlyKeys(['codes']);
        return { codes };
      case 'eighths':
        json.onlyKeys(['codes', 'slope']);
        return { codes, slope: json.integer('slope', 1, 2 ** 15 - 1) };
      case 'uniform':
        json.onlyKeys(['codes', 'levels', 'scale']);
        return { codes, levels: json.integer('levels', 1, 2 ** 30 - 1), scale: json.scale('scale') };
    }
  },
  rule(layer, reads, { refuse }) {
    const shape = softmaxShape(reads, refuse);
    expectCodes(reads[0]!, refuse);
    const table = `${prefixOf(layer)}.table`;
    return {
      activation: probabilities(shape, layer),
      tensors: [{ name: table, dtype: 'U32', shape: [256], scores: shape.columns }],
      elements: shape.rows * shape.columns,
    };
  },
  plan(layer, plan) {
    const { codes, levels, slope } = layer;
    const [scores] = plan.inputs(layer);
    const { stride } = scores!;
    const probs = plan.output(layer, { stride });
    const table = plan.constant(`${prefixOf(layer)}.table`);
    const { order, heads } = plan.type(layer.name);
    const { windows, tokens, heads: count, queries } = heads!;
    const masks =
      order !== undefined && order.shift > 0 ? shiftMasks(plan, order.window, order.shift) : undefined;
    const across = Math.sqrt(windows);
    const rows = count * queries;
    const kernel = `softmax_${codes}` as const;
    plan.step(layer, {
      kernel,
      constants: [
        table,
        ...(masks ? new Set(edges(windows, across).flatMap((edge) => masks[edge] ?? [])) : []),
      ],
      scratchBytes: SOFTMAX_SCRATCH + stride,
      // the rows of all heads and windows are contiguous; each mask serves the rows of one window
      calls: (part) => {
        const runs: { from: number; to: number; kept: number }[] = [];
        if (masks === undefined) {
          const [from, to] = share(windows * rows, part);
          runs.push({ from, to, kept: 0 });
        } else {
          const [first, last] = share(windows, part);
          for (let w = first; w < last; w++)
            runs.push({
              from: w * rows,
              to: (w + 1) * rows,
              kept: masks[windowEdge(w, across)]?.address ?? 0,
            });
        }
        return runs.flatMap(({ from, to, kept }) =>
          inGroups([from, to], ELEMENT_MACS * tokens).map(([row, count]): KernelCall => {
            const [q, p] = [scores!.address + row * stride, probs.address + row * stride];
            return kernel === 'softmax_log2'
              ? [kernel, q, stride, p, count, tokens, table.address, kept, part.scratch]
              : [kernel, q, stride, p, count, tokens, table.address, levels ?? slope!, kept, part.scratch];
          }),
        );
      },
    });
  },
};

function probabilities(shape: Shape, { codes, scale }: IntegerSoftmax): IntegerActivation {
  const highest = { log2: 15, eighths: 127, uniform: 255 }[codes];
  return { ...shape, element: codes, zeroPoint: 0, highest, ...(scale === undefined ? {} : { scale }) };
}

const edges = (windows: number, across: number) =>
  Array.from({ length: windows }, (_, w) => windowEdge(w, across));

/**
 * The masks of the windows of a shifted map, by the edge they touch: 255 for tokens that were
 * neighbours before the shift. Layers of one window share them.
 */
function shiftMasks(
  plan: IntegerPlan,
  window: number,
  shift: number,
): readonly (PlacedConstant | undefined)[] {
  const tokens = window ** 2;
  const stride = roundUp(tokens, 16);
  return plan.shared(`mask ${window} ${shift}`, () => {
    const mask = (edge: WindowEdge) =>
      plan.filled(tokens * stride, (memory) => {
        for (let i = 0; i < tokens; i++) {
          for (let j = 0; j < tokens; j++) {
            memory[i * stride + j] = areNeighbours(edge, i, j, window, shift) ? 255 : 0;
          }
        }
      });
    return [undefined, mask(1), mask(2), mask(3)];
  });
}
