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
} from '../checkpoint/integer-description.js';
import { shown } from '../checkpoint/shown.js';
import { UsageError } from '../errors.js';

/** Bits of attention codes, and what the codes are called in a recipe. */
const ATTENTION = { 4: 'log2', 7: 'eighths', 8: 'uniform' } as const;
export const ATTENTION_BITS = [4, 7, 8] as const;
export type AttentionBits = (typeof ATTENTION_BITS)[number];

/** Images that calibrate where the caller does not say: as many as the paper's authors took. */
export const DEFAULT_IMAGES = 1000;
/** Pictures that are made where there are none: more gain nothing (docs/accuracy.md). */
export const DEFAULT_SYNTHETIC = 128;

export { ACTIVATION_BITS, METHODS, OBSERVER_NAMES, WEIGHT_BITS };

export interface MethodOptions {
  /**
   * `best`: closest to float as a rule, the default. `fq`: the paper, PTF and Log-Int-Softmax; the
   * default where an observer is named. The others are the plain methods of the paper's table.
   */
  method?: Method | undefined;
  /** Of ordinary activations under `fq`. Default `minmax`; a plain method is its own observer. */
  observer?: ObserverName | undefined;
  /**
   * 4: log2 codes (LIS); 7: log2 codes in eighths; 8: uniform codes. Default 4 for `fq`, 7 for
   * `best`, 8 for the plain methods.
   */
  attentionBits?: AttentionBits | undefined;
  /**
   * Of the weights of the blocks; patch embedding and head keep at least 7. Default 8, as the
   * paper.
   */
  weightBits?: WeightBits | undefined;
  /** Of what these layers read. Default 8, as the paper. */
  activationBits?: ActivationBits | undefined;
}

/** @throws UsageError `METHOD` for an option that is unknown or does not go with the method */
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
    throw new UsageError('METHOD', `${name}: expected one of ${choices.join(', ')}, found ${shown(value)}`);
  }
}
