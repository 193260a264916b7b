import type { FloatStep } from '../../forward/float/pass.js';
import type { FloatPlan } from '../float-plan.js';
import type { PoolLayer } from './layer.js';

export function poolFloat(layer: PoolLayer, plan: FloatPlan): FloatStep {
  const { rows, columns } = plan.shape(layer.reads[0]!);
  const { skip } = layer;
  const x = plan.at(layer.reads[0]!);
  const y = plan.output(layer);
  // biome-ignore lint/correctness/useYield: one call is short
  return function* ({ kernels, batch }) {
    for (let b = 0; b < batch; b++) {
      const from = x.address + 4 * (b * rows + skip) * columns;
      kernels.pool(from, y.address + 4 * b * columns, 1, rows - skip, columns);
    }
  };
}
