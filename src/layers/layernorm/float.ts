import type { FloatStep } from '../../forward/float/pass.js';
import type { FloatPlan } from '../float-plan.js';
import { prefixOf } from '../integer-kind.js';
import { channelsOf, type LayerNormLayer } from './layer.js';

export function layerNormFloat(layer: LayerNormLayer, plan: FloatPlan): FloatStep {
  const { rows: some, window, merge, name, reads } = layer;
  const input = plan.shape(reads[0]!);
  const { order } = plan.shape(name);
  const width = channelsOf(layer, input);
  const { gamma, beta } = plan.parameters.norm(prefixOf(layer), width);
  const x = plan.at(reads[0]!);
  const y = plan.output(layer);
  const side = Math.sqrt(input.rows);
  // biome-ignore lint/correctness/useYield: one call is short
  return function* ({ kernels, batch, eps }) {
    if (window !== undefined) {
      const { size } = window;
      kernels.layernorm_windows(
        x.address,
        gamma,
        beta,
        y.address,
        batch,
        side,
        size,
        order!.shift,
        width,
        eps,
      );
    } else if (merge) {
      kernels.layernorm_merge(x.address, gamma, beta, y.address, batch, side, input.columns, eps);
    } else if (some === undefined || some === input.rows) {
      kernels.layernorm(x.address, width, gamma, beta, y.address, batch * input.rows, width, eps);
    } else {
      for (let b = 0; b < batch; b++) {
        const from = x.address + 4 * b * input.rows * width;
        kernels.layernorm(from, width, gamma, beta, y.address + 4 * b * some * width, some, width, eps);
      }
    }
  };
}
