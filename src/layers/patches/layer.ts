import type { Refuse } from '../../text/refuse.js';
import type { LayerBase } from '../layer-base.js';
import type { Shape } from '../shape.js';

/** The pixels of each patch as one row: `[patches, 3 · patch²]`. */
export interface PatchesLayer extends LayerBase<'patches'> {
  /** Side of a patch in pixels. */
  readonly patch: number;
  /** A pixel is its own code, if all channels have one mean and deviation. */
  readonly direct?: true;
}

export function patchesShape({ patch }: { patch: number }, imageSize: number, refuse: Refuse): Shape {
  if (imageSize % patch !== 0) {
    refuse(`patch: expected a divisor of the image size ${imageSize}, found ${patch}`);
  }
  return { rows: (imageSize / patch) ** 2, columns: 3 * patch ** 2 };
}

/** The activation that holds the image. No layer has this name. */
export const PIXELS = 'pixels';
