import type { FloatStep } from '../../forward/float/pass.js';
import type { ConstantLayer } from '../constant/layer.js';
import type { FloatPlan } from '../float-plan.js';
import { biasOfPairs } from '../float-windows.js';
import type { BiasLayer } from './layer.js';

export function biasFloat(layer: BiasLayer, plan: FloatPlan): FloatStep {
  const { windows, heads, tokens } = plan.shape(layer.name).heads!;
  const { source, shape } = plan.layer(layer.reads[1]!) as ConstantLayer;
  const table = plan.parameters.tensor(source, shape[0] * shape[1]);
  const pairs = heads * tokens ** 2;
  const bias = plan.parameters.computed(`${layer.name} pairs`, pairs, () =>
    biasOfPairs(table, Math.sqrt(tokens), heads),
  );
  const scores = plan.inPlace(layer);
  // biome-ignore lint/correctness/useYield: one call is short
  return function* ({ kernels, batch }) {
    kernels.add_repeated(scores.address, bias, batch * windows, pairs);
  };
}
