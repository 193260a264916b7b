import type { FloatStep } from '../../forward/float/pass.js';
import type { FloatPlan } from '../float-plan.js';
import type { ScoresLayer } from './layer.js';

/** q·kᵀ d^-½ of every window and head: `[B·W, heads, queries, N]`. */
export function scoresFloat(layer: ScoresLayer, plan: FloatPlan): FloatStep {
  const { windows, heads, queries, tokens } = plan.shape(layer.name).heads!;
  const dim = plan.shape(layer.reads[0]!).columns / 3;
  const d = dim / heads;
  const qkv = plan.at(layer.reads[0]!);
  const out = plan.output(layer);
  plan.panelBytes = Math.max(plan.panelBytes, 4 * 8 * Math.ceil(tokens / 8) * d);
  const scale = d ** -0.5;
  return function* ({ kernels, batch, scratch, panels }) {
    for (let w = 0; w < batch * windows; w++) {
      for (let head = 0; head < heads; head++) {
        const q = qkv.address + 12 * w * tokens * dim + 4 * head * d;
        const to = out.address + 4 * (w * heads + head) * queries * tokens;
        kernels.pack_weights(q + 4 * dim, 3 * dim, panels, tokens, d);
        kernels.gemm(q, 3 * dim, panels, 0, to, tokens, queries, tokens, d, scale, scratch);
        yield;
      }
    }
  };
}
