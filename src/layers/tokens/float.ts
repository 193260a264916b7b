import type { FloatStep } from '../../forward/float/pass.js';
import type { FloatPlan } from '../float-plan.js';
import type { TokensLayer } from './layer.js';

/** Copies the constant tokens and the patches of every image together. */
export function tokensFloat(layer: TokensLayer, plan: FloatPlan): FloatStep {
  const { prefix, source, name } = layer;
  const { columns, rows } = plan.shape(name);
  const patches = plan.at(layer.reads[0]!);
  const first = prefix > 0 ? plan.parameters.values(plan.parameters.tensor(source, prefix * columns)) : 0;
  const out = plan.output(layer);
  const rowBytes = 4 * columns;
  // biome-ignore lint/correctness/useYield: copies are short
  return function* ({ memory, batch }) {
    const heap = new Uint8Array(memory.buffer);
    for (let b = 0; b < batch; b++) {
      const to = out.address + b * rows * rowBytes;
      const from = patches.address + b * (rows - prefix) * rowBytes;
      heap.copyWithin(to, first, first + prefix * rowBytes);
      heap.copyWithin(to + prefix * rowBytes, from, from + (rows - prefix) * rowBytes);
    }
  };
}
