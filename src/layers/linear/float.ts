import type { LinearPlace } from '../../forward/float/parameters.js';
import type { FloatStep } from '../../forward/float/pass.js';
import { rowGroups } from '../../runtime/passes.js';
import type { FloatPlan } from '../float-plan.js';
import { prefixOf } from '../integer-kind.js';
import type { LinearLayer } from './layer.js';

/** y = x·Wᵀ + bias. Computes all rows of q, also those that do not go on. */
export function linearFloat(layer: LinearLayer, plan: FloatPlan): FloatStep {
  const { outputs, unbiased, reads } = layer;
  const input = plan.layer(reads[0]!);
  const { rows, columns: inputs } = plan.shape(reads[0]!);
  const x = plan.at(reads[0]!);
  const y = plan.output(layer);
  const place: LinearPlace = plan.parameters.linear(prefixOf(layer), inputs, outputs, {
    patch: input.kind === 'patches' ? input.patch : undefined,
    bias: !unbiased,
  });
  const { panels, bias } = place;
  return function* ({ kernels, batch, scratch }) {
    for (const [from, count] of rowGroups(batch * rows, inputs * outputs)) {
      const [a, c] = [x.address + 4 * from * inputs, y.address + 4 * from * outputs];
      kernels.gemm(a, inputs, panels, bias, c, outputs, count, outputs, inputs, 1, scratch);
      yield;
    }
  };
}
