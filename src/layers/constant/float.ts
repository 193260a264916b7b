import type { FloatStep } from '../../forward/float/pass.js';
import type { FloatPlan } from '../float-plan.js';
import type { ConstantLayer } from './layer.js';

export function constantFloat(layer: ConstantLayer, plan: FloatPlan): FloatStep {
  const [rows, columns] = layer.shape;
  plan.constant(layer, plan.parameters.values(plan.parameters.tensor(layer.source, rows * columns)));
  return function* () {};
}
