import type { FloatStep } from '../../forward/float/pass.js';
import type { FloatPlan } from '../float-plan.js';
import type { PatchesLayer } from './layer.js';

/**
 * Bytes to normalised pixels, f32 `[B, S, S, 3]`, which an observer sees, then to rows
 * `[patch, patch, 3]`.
 */
export function patchesFloat(layer: PatchesLayer, plan: FloatPlan): FloatStep {
  const { imageSize } = plan;
  const area = imageSize ** 2;
  const normalised = plan.temporary(12 * plan.batch * area);
  const rows = plan.output(layer);
  // biome-ignore lint/correctness/useYield: one call is short
  return function* ({ kernels, memory, batch, image, pixelTable, pixels, emit }) {
    for (const [b, one] of pixels.entries()) {
      new Uint8Array(memory.buffer, image, 3 * area).set(one);
      kernels.normalise(image, pixelTable, normalised.address + 12 * b * area, area);
    }
    emit?.(layer.name, normalised.address, [batch, imageSize, imageSize, 3]);
    for (let b = 0; b < batch; b++) {
      const at = 12 * b * area;
      kernels.patches(normalised.address + at, imageSize, layer.patch, rows.address + at);
    }
  };
}
