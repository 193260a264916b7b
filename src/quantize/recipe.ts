import {
  ACTIVATION_BITS,
  type ActivationBits,
  METHODS,
  type Method,
  OBSERVER_NAMES,
  type ObserverName,
  type Recipe,
  WEIGHT_BITS,
  type WeightBits,
} from '../checkpoint/integer/description.js';
import { UsageError } from '../errors.js';
import { formatValue } from '../text/format-value.js';

/** Bits of attention codes, and the name of the codes in a recipe. */
const ATTENTION = { 4: 'log2', 7: 'eighths', 8: 'uniform' } as const;
/** Bits of attention codes. */
export type AttentionBits = 4 | 7 | 8;
export const ATTENTION_BITS: readonly AttentionBits[] = [4, 7, 8];

/** Default number of calibration images, as in the paper. */
export const DEFAULT_IMAGES = 1000;
/** Default number of synthetic pictures; more gain nothing (docs/accuracy.md). */
export const DEFAULT_SYNTHETIC = 128;

export { ACTIVATION_BITS, METHODS, OBSERVER_NAMES, WEIGHT_BITS };

/** How {@link quantize} chooses scales, and the bits of codes. */
export interface MethodOptions {
  /**
   * `best`, the default, is usually closest to float. `fq` is the paper's method, PTF and
   * Log-Int-Softmax, and the default if an observer is named. The others are the paper's baselines.
   */
  method?: Method | undefined;
  /**
   * Observer of ordinary activations for `fq`. Default `minmax`. A baseline is its own observer.
   */
  observer?: ObserverName | undefined;
  /**
   * 4: log2 codes (LIS); 7: log2 codes in eighths; 8: uniform codes. Default 4 for `fq`, 7 for
   * `best`, 8 for the baselines.
   */
  attentionBits?: AttentionBits | undefined;
  /**
   * Bits of the blocks' weights; patch embedding and head keep at least 7. Default 8, as the paper.
   */
  weightBits?: WeightBits | undefined;
  /** Bits of these layers' inputs. Default 8, as in the paper. */
  activationBits?: ActivationBits | undefined;
}

/** @throws UsageError `METHOD` for an option that is unknown or does not fit the method */
export function methodRecipe({
  observer,
  method = observer === undefined ? 'best' : 'fq',
  attentionBits,
  weightBits = 8,
  activationBits = 8,
}: MethodOptions): Omit<Recipe, 'calibrationImages' | 'seed' | 'sourceSha256' | 'weights'> {
  expectOneOf('method', method, METHODS);
  if (observer !== undefined) expectOneOf('observer', observer, OBSERVER_NAMES);
  if (attentionBits !== undefined) expectOneOf('attentionBits', attentionBits, ATTENTION_BITS);
  expectOneOf('weightBits', weightBits, WEIGHT_BITS);
  expectOneOf('activationBits', activationBits, ACTIVATION_BITS);
  const plain = method !== 'fq' && method !== 'best';
  if (method !== 'fq' && observer !== undefined && observer !== method) {
    const own = method === 'best' ? 'searches for its ranges' : 'is its own observer';
    throw new UsageError('METHOD', `observer: method "${method}" ${own}, found "${observer}"`);
  }
  return {
    method,
    observer: method === 'fq' ? (observer ?? 'minmax') : method === 'best' ? 'search' : method,
    ptf: !plain,
    attention: ATTENTION[attentionBits ?? (plain ? 8 : method === 'fq' ? 4 : 7)],
    weightBits,
    activationBits,
  };
}

function expectOneOf<T>(name: string, value: T, choices: readonly T[]): void {
  if (!choices.includes(value)) {
    throw new UsageError(
      'METHOD',
      `${name}: expected one of ${choices.join(', ')}, found ${formatValue(value)}`,
    );
  }
}
