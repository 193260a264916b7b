import type { ObserverName } from '../checkpoint/integer-description.js';
import type { FloatWorkspace } from '../models/float/kernels.js';
import { EmaObserver } from './observers/ema.js';
import { MinMaxObserver } from './observers/minmax.js';
import { OmseObserver } from './observers/omse.js';
import { PercentileObserver } from './observers/percentile.js';
import { PtfObserver } from './observers/ptf.js';
import type { Observer, ObserverOptions } from './observers/types.js';

export { OBSERVER_NAMES, type ObserverName } from '../checkpoint/integer-description.js';
export { EmaObserver } from './observers/ema.js';
export { MinMaxObserver } from './observers/minmax.js';
export { OmseObserver } from './observers/omse.js';
export { PercentileObserver } from './observers/percentile.js';
export { PtfObserver } from './observers/ptf.js';
export type { ObservedTensor, Observer, ObserverOptions, Quantizer } from './observers/types.js';

/** How every quantiser of a model gets its scale. */
export interface ObserverRecipe {
  /** For ordinary activations, and for LayerNorm inputs without `ptf`. */
  observer: ObserverName;
  /** Power-of-two factors for the inputs of every LayerNorm, always from the min-max range. */
  ptf: boolean;
}

const OBSERVERS: Record<ObserverName, new (w: FloatWorkspace, o?: ObserverOptions) => Observer> = {
  minmax: MinMaxObserver,
  ema: EmaObserver,
  percentile: PercentileObserver,
  omse: OmseObserver,
};

/** The observer that `recipe` gives to the quantiser `name`. */
export function createObserver(name: string, recipe: ObserverRecipe, workspace: FloatWorkspace): Observer {
  if (recipe.ptf && isLayerNormInput(name)) return new PtfObserver(workspace);
  return new OBSERVERS[recipe.observer](workspace, { nonNegative: name.endsWith('.attn.probs') });
}

/** Whether a quantiser of a ViT or DeiT stands before a LayerNorm: the residual stream. */
export function isLayerNormInput(name: string): boolean {
  return name === 'stem.out' || /^blocks\.\d+\.residual[12]\.out$/.test(name);
}
