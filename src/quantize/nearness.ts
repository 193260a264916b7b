import type { Output } from '../architecture/output.js';
import { divergence, logProbabilities, rankClasses } from '../model/rank.js';

/**
 * How closely an integer model agrees with its float model, on one image or averaged over several.
 */
export interface Nearness {
  /**
   * 0..1. `softmax`: whether both name the same class; `sigmoid`: the share of classes that both
   * put on the same side of one half.
   */
  readonly agreement: number;
  /**
   * KL(float ‖ integer) in nats. `softmax`: of the distribution over classes; `sigmoid`: the mean
   * over the classes, each with its own distribution.
   */
  readonly kl: number;
}

/** Compares the logits of one image. */
export function nearness(
  float: Float32Array,
  integer: Float32Array,
  output: Exclude<Output, 'value'>,
): Nearness {
  if (output === 'softmax') {
    const isSame = rankClasses(float, 1)[0] === rankClasses(integer, 1)[0];
    return {
      agreement: isSame ? 1 : 0,
      kl: divergence(logProbabilities(float), logProbabilities(integer)),
    };
  }
  const each = Array.from(float, (logit, i) => ({
    agreement: logit > 0 === integer[i]! > 0 ? 1 : 0,
    // a sigmoid is the softmax of the logit and 0
    kl: divergence(logProbabilities([logit, 0]), logProbabilities([integer[i]!, 0])),
  }));
  return meanNearness(each);
}

export function meanNearness(all: readonly Nearness[]): Nearness {
  const mean = (of: (one: Nearness) => number) => all.reduce((sum, one) => sum + of(one), 0) / all.length;
  return { agreement: mean(({ agreement }) => agreement), kl: mean(({ kl }) => kl) };
}
