import type { Family } from '../checkpoint/architecture.js';
import type { ActivationBits, ObserverName } from '../checkpoint/integer-description.js';
import { highestCode } from '../checkpoint/integer-layout.js';
import type { FloatWorkspace } from '../models/float/kernels.js';
import { ChannelObserver } from './observers/channel.js';
import { EmaObserver } from './observers/ema.js';
import { MinMaxObserver } from './observers/minmax.js';
import { OmseObserver } from './observers/omse.js';
import { PercentileObserver } from './observers/percentile.js';
import { PtfObserver } from './observers/ptf.js';
import type { Observer, ObserverOptions } from './observers/types.js';

export { OBSERVER_NAMES, type ObserverName } from '../checkpoint/integer-description.js';
export { ChannelObserver } from './observers/channel.js';
export { EmaObserver } from './observers/ema.js';
export { MinMaxObserver } from './observers/minmax.js';
export { OmseObserver } from './observers/omse.js';
export { PercentileObserver } from './observers/percentile.js';
export { PooledObserver } from './observers/pooled.js';
export { PtfObserver } from './observers/ptf.js';
export { affine } from './observers/range.js';
export type { ObservedTensor, Observer, ObserverOptions, Quantizer } from './observers/types.js';

/** How every quantiser of a model gets its scale. */
export interface ObserverRecipe {
  /** For ordinary activations, and for LayerNorm inputs without `ptf`. */
  observer: ObserverName;
  /** Power-of-two factors for the inputs of every LayerNorm, always from the min-max range. */
  ptf: boolean;
  /** Bits of the inputs of the blocks' linear layers. Default 8. */
  activationBits?: ActivationBits;
  /** One scale per channel for the inputs of additions. Default false. */
  channels?: boolean;
}

const OBSERVERS: Record<ObserverName, new (w: FloatWorkspace, o?: ObserverOptions) => Observer> = {
  minmax: MinMaxObserver,
  ema: EmaObserver,
  percentile: PercentileObserver,
  omse: OmseObserver,
};

/** The observer of `recipe` for the quantiser `name` of a model of `family`. */
export function createObserver(
  name: string,
  family: Family,
  recipe: ObserverRecipe,
  workspace: FloatWorkspace,
): Observer {
  const { observer, ptf, activationBits = 8, channels = false } = recipe;
  if (ptf && isLayerNormInput(name, family)) return new PtfObserver(workspace);
  if (channels && isAdditionInput(name)) return new ChannelObserver(workspace);
  return new OBSERVERS[observer](workspace, {
    nonNegative: name.endsWith('.attn.probs'),
    highest: highestCode(name, { activationBits }),
  });
}

/**
 * Whether a quantiser precedes a LayerNorm with power-of-two factors: the residual stream. In a
 * Swin the stream starts after a LayerNorm whose input and output have an ordinary scale.
 */
export function isLayerNormInput(name: string, family: Family): boolean {
  if (family === 'swin') {
    return /^layers\.\d+\.(blocks\.\d+\.residual[12]|downsample\.reduction)\.out$/.test(name);
  }
  return name === 'stem.out' || /^blocks\.\d+\.residual[12]\.out$/.test(name);
}

/** Whether a quantiser precedes an addition to the residual stream or the position embedding. */
function isAdditionInput(name: string): boolean {
  return name === 'tokens' || name === 'pos_embed' || /\.(attn\.proj|mlp\.fc2)\.out$/.test(name);
}
