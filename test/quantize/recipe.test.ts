import { describe, expect, test } from '@jest/globals';
import { UsageError } from '../../src/errors.js';
import {
  METHODS,
  type MethodOptions,
  methodRecipe,
  OBSERVER_NAMES,
  WEIGHT_BITS,
} from '../../src/quantize/recipe.js';

test('by default the paper', () => {
  expect(methodRecipe({})).toEqual({
    method: 'fq',
    observer: 'minmax',
    ptf: true,
    attention: 'log2',
    weightBits: 8,
    activationBits: 8,
  });
});

test('8 bits of attention are uniform', () => {
  expect(methodRecipe({ attentionBits: 8 })).toEqual({ ...methodRecipe({}), attention: 'uniform' });
  expect(methodRecipe({ attentionBits: 4 })).toEqual(methodRecipe({}));
});

test('narrower weights and activations, under any method', () => {
  for (const method of METHODS) {
    const whole = methodRecipe({ method });
    for (const weightBits of WEIGHT_BITS) {
      expect(methodRecipe({ method, weightBits })).toEqual({ ...whole, weightBits });
    }
    expect(methodRecipe({ method, activationBits: 7 })).toEqual({ ...whole, activationBits: 7 });
  }
});

test('fq takes any observer', () => {
  for (const observer of ['minmax', 'ema', 'percentile', 'omse'] as const) {
    expect(methodRecipe({ method: 'fq', observer })).toEqual({ ...methodRecipe({}), observer });
  }
});

test('best searches for its ranges, with PTF and 7-bit attention codes', () => {
  const best = { ...methodRecipe({}), method: 'best', observer: 'search', attention: 'eighths' };
  expect(methodRecipe({ method: 'best' })).toEqual(best);
  expect(methodRecipe({ method: 'best', attentionBits: 7 })).toEqual(best);
  expect(methodRecipe({ method: 'best', attentionBits: 4 })).toEqual({ ...best, attention: 'log2' });
  expect(methodRecipe({ attentionBits: 7 })).toEqual({ ...methodRecipe({}), attention: 'eighths' });
  expectRefusal(
    { method: 'best', observer: 'ema' },
    'observer: method "best" searches for its ranges, found "ema"',
  );
});

describe.each(OBSERVER_NAMES)('%s', (method) => {
  test('is its own observer, without PTF and with uniform attention', () => {
    const plain = { ...methodRecipe({}), method, observer: method, ptf: false, attention: 'uniform' };
    expect(methodRecipe({ method })).toEqual(plain);
    expect(methodRecipe({ method, observer: method })).toEqual(plain);
    expect(methodRecipe({ method, attentionBits: 4 })).toEqual({ ...plain, attention: 'log2' });
  });

  test('refuses another observer', () => {
    const observer = method === 'ema' ? 'omse' : 'ema';
    expectRefusal({ method, observer }, `method "${method}" is its own observer, found "${observer}"`);
  });
});

test('options that are unknown', () => {
  expectRefusal(
    { method: 'ptf' as 'fq' },
    'method: expected one of fq, best, minmax, ema, percentile, omse, found "ptf"',
  );
  expectRefusal(
    { observer: 'fq' as 'ema' },
    'observer: expected one of minmax, ema, percentile, omse, found "fq"',
  );
  expectRefusal({ attentionBits: 6 as 8 }, 'attentionBits: expected one of 4, 7, 8, found 6');
  expectRefusal({ weightBits: 3 as 4 }, 'weightBits: expected one of 8, 7, 6, 5, 4, found 3');
  expectRefusal({ weightBits: '4' as unknown as 4 }, 'weightBits: expected one of 8, 7, 6, 5, 4, found "4"');
  expectRefusal({ activationBits: 6 as 7 }, 'activationBits: expected one of 8, 7, found 6');
});

function expectRefusal(options: MethodOptions, says: string): void {
  let error: unknown;
  try {
    methodRecipe(options);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(UsageError);
  expect(error).toMatchObject({ code: 'METHOD', message: expect.stringContaining(says) });
}
