import type { FloatStep } from '../../forward/float/pass.js';
import type { FloatPlan } from '../float-plan.js';
import type { AddLayer } from './layer.js';

/** a += b; of a map, b in window order; of fewer rows, the first of every image move together. */
export function addFloat(layer: AddLayer, plan: FloatPlan): FloatStep {
  const [a, b] = layer.reads as [string, string];
  const [all, { rows, columns, order }] = [plan.shape(a), plan.shape(b)];
  const isConstant = plan.layer(b).kind === 'constant';
  const branch = plan.at(b);
  const stream = plan.inPlace(layer);
  // biome-ignore lint/correctness/useYield: one call is short
  return function* ({ kernels, batch }) {
    if (order !== undefined) {
      const { side, window, shift } = order;
      kernels.add_windows(stream.address, branch.address, batch, side, window, shift, columns);
    } else if (!isConstant && all.rows === rows) {
      kernels.add(stream.address, branch.address, stream.address, batch * rows * columns);
    } else {
      for (let image = 0; image < batch; image++) {
        const x = stream.address + 4 * image * all.rows * columns;
        const y = branch.address + (isConstant ? 0 : 4 * image * rows * columns);
        kernels.add(x, y, stream.address + 4 * image * rows * columns, rows * columns);
      }
    }
  };
}
