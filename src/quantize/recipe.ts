import {
  METHODS,
  type Method,
  OBSERVER_NAMES,
  type ObserverName,
  type Recipe,
} from '../checkpoint/integer-description.js';
import { shown } from '../checkpoint/shown.js';
import { UsageError } from '../errors.js';

export { METHODS, OBSERVER_NAMES };

export interface MethodOptions {
  /** `fq` is the paper: PTF and Log-Int-Softmax. The others are the plain methods of its table. Default `fq`. */
  method?: Method | undefined;
  /** Of ordinary activations under `fq`. Default `minmax`; a plain method is its own observer. */
  observer?: ObserverName | undefined;
  /** 4: log2 codes (LIS); 8: uniform codes. Default 4 for `fq`, 8 for the plain methods. */
  attentionBits?: 4 | 8 | undefined;
}

/** @throws UsageError `METHOD` for an option that is unknown or does not go with the method */
export function methodRecipe({
  method = 'fq',
  observer,
  attentionBits,
}: MethodOptions): Pick<Recipe, 'method' | 'observer' | 'ptf' | 'attention'> {
  expectOneOf('method', method, METHODS);
  if (observer !== undefined) expectOneOf('observer', observer, OBSERVER_NAMES);
  if (attentionBits !== undefined) expectOneOf('attentionBits', attentionBits, [4, 8]);
  if (method !== 'fq' && observer !== undefined && observer !== method) {
    throw new UsageError('METHOD', `observer: method "${method}" is its own observer, found "${observer}"`);
  }
  return {
    method,
    observer: method === 'fq' ? (observer ?? 'minmax') : method,
    ptf: method === 'fq',
    attention: (attentionBits ?? (method === 'fq' ? 4 : 8)) === 4 ? 'log2' : 'uniform',
  };
}

function expectOneOf<T>(name: string, value: T, choices: readonly T[]): void {
  if (!choices.includes(value)) {
    throw new UsageError('METHOD', `${name}: expected one of ${choices.join(', ')}, found ${shown(value)}`);
  }
}
