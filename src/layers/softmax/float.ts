import type { FloatStep } from '../../forward/float/pass.js';
import { ELEMENT_MACS, rowGroups } from '../../runtime/passes.js';
import type { FloatPlan } from '../float-plan.js';
import { shiftMasks } from '../float-windows.js';
import { windowEdge } from '../windows.js';
import type { SoftmaxLayer } from './layer.js';

/** Scores, masked in a shifted map, to probabilities. */
export function softmaxFloat(layer: SoftmaxLayer, plan: FloatPlan): FloatStep {
  const { order, heads: all } = plan.shape(layer.name);
  const { windows, heads, queries, tokens } = all!;
  const area = tokens ** 2;
  const masks =
    order !== undefined && order.shift > 0
      ? plan.parameters.computed(`mask ${order.window} ${order.shift}`, 3 * area, () =>
          shiftMasks(order.window, order.shift),
        )
      : undefined;
  const scores = plan.inPlace(layer);
  return function* ({ kernels, batch }) {
    for (let w = 0; masks !== undefined && w < batch * windows; w++) {
      const edge = windowEdge(w % windows, Math.sqrt(windows));
      if (edge === 0) continue;
      kernels.add_repeated(scores.address + 4 * w * heads * area, masks + 4 * (edge - 1) * area, heads, area);
    }
    for (const [from, count] of rowGroups(batch * windows * heads * queries, ELEMENT_MACS * tokens)) {
      kernels.softmax(scores.address + 4 * from * tokens, count, tokens);
      yield;
    }
  };
}
