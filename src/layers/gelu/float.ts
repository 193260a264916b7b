import type { FloatStep } from '../../forward/float/pass.js';
import { ELEMENT_MACS, rowGroups } from '../../runtime/passes.js';
import type { FloatPlan } from '../float-plan.js';
import type { GeluLayer } from './layer.js';

const KERNELS = { exact: 'gelu', tanh: 'gelu_tanh', quick: 'gelu_quick' } as const;

export function geluFloat(layer: GeluLayer, plan: FloatPlan): FloatStep {
  const { rows, columns } = plan.shape(layer.name);
  const x = plan.inPlace(layer);
  const kernel = KERNELS[layer.gelu];
  return function* ({ kernels, batch }) {
    for (const [from, count] of rowGroups(batch * rows, ELEMENT_MACS * columns)) {
      kernels[kernel](x.address + 4 * from * columns, count * columns);
      yield;
    }
  };
}
