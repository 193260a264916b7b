import type { FloatStep } from '../../forward/float/pass.js';
import type { FloatPlan } from '../float-plan.js';
import type { ContextLayer } from './layer.js';

/** probabilities·v of every window and head: `[B·W, queries, C]`. */
export function contextFloat(layer: ContextLayer, plan: FloatPlan): FloatStep {
  const [probabilities, qkv] = layer.reads as [string, string];
  const { windows, heads, queries, tokens } = plan.shape(probabilities).heads!;
  const { columns: dim } = plan.shape(layer.name);
  const d = dim / heads;
  const [p, values] = [plan.at(probabilities), plan.at(qkv)];
  const out = plan.output(layer);
  plan.panelBytes = Math.max(plan.panelBytes, 4 * tokens * 8 * Math.ceil(d / 8));
  return function* ({ kernels, batch, scratch, panels }) {
    for (let w = 0; w < batch * windows; w++) {
      for (let head = 0; head < heads; head++) {
        const v = values.address + 12 * w * tokens * dim + 4 * head * d + 8 * dim;
        const from = p.address + 4 * (w * heads + head) * queries * tokens;
        const to = out.address + 4 * w * queries * dim + 4 * head * d;
        kernels.pack_columns(v, 3 * dim, panels, d, tokens);
        kernels.gemm(from, tokens, panels, 0, to, dim, queries, d, tokens, 1, scratch);
        yield;
      }
    }
  };
}
