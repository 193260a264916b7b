import type { ActivationBits, ObserverName } from '../checkpoint/integer/description.js';
import type { FloatWorkspace } from '../forward/float/kernels.js';
import type { Layer } from '../layers/layer.js';
import { ChannelObserver } from './observers/channel.js';
import { EmaObserver } from './observers/ema.js';
import { MinMaxObserver } from './observers/minmax.js';
import { OmseObserver } from './observers/omse.js';
import { PercentileObserver } from './observers/percentile.js';
import { PooledObserver } from './observers/pooled.js';
import { PtfObserver } from './observers/ptf.js';
import type { Observer, ObserverOptions } from './observers/types.js';

export { OBSERVER_NAMES, type ObserverName } from '../checkpoint/integer/description.js';
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

/**
 * The observer of `recipe` for what a layer makes.
 *
 * @param readers the layers that read it
 * @param highest its highest code
 * @param inputs the observer of an earlier layer
 */
export function createObserver(
  { kind, factors, reads }: Layer,
  readers: readonly Layer[],
  highest: number,
  { observer, ptf, channels = false }: ObserverRecipe,
  workspace: FloatWorkspace,
  inputs: (name: string) => Observer,
): Observer {
  if (kind === 'pool' && factors) return new PooledObserver(workspace, inputs(reads[0]!));
  if (ptf && factors) return new PtfObserver(workspace);
  const isOperand = readers.length > 0 && readers.every((reader) => reader.kind === 'add');
  if (channels && isOperand && !factors) return new ChannelObserver(workspace);
  return new OBSERVERS[observer](workspace, { nonNegative: kind === 'softmax', highest });
}
