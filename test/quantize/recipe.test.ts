import { describe, expect, test } from '@jest/globals';
import { UsageError } from '../../src/errors.js';
import {
  METHODS,
  type MethodOptions,
  methodRecipe,
  OBSERVER_NAMES,
  WEIGHT_BITS,
} from '../../src/quantize/recipe.js';

const fq = {
  method: 'fq',
  observer: 'minmax',
  ptf: true,
  attention: 'log2',
  weightBits: 8,
  activationBits: 8,
} as const;

test("fq is the paper's method", () => {
  expect(methodRecipe({ method: 'fq' })).toEqual(fq);
});

test('the default is best, or fq if an observer is named', () => {
  expect(methodRecipe({})).toEqual(methodRecipe({ method: 'best' }));
  expect(methodRecipe({ observer: 'ema' })).toEqual({ ...fq, observer: 'ema' });
});

test('8 bits of attention are uniform', () => {
  expect(methodRecipe({ method: 'fq', attentionBits: 8 })).toEqual({ ...fq, attention: 'uniform' });
  expect(methodRecipe({ method: 'fq', attentionBits: 4 })).toEqual(fq);
});

test('every method takes narrower weights and activations', () => {
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
    expect(methodRecipe({ method: 'fq', observer })).toEqual({ ...fq, observer });
  }
});

test('best searches for ranges, with PTF and 7-bit attention codes', () => {
  const best = { ...fq, method: 'best', observer: 'search', attention: 'eighths' };
  expect(methodRecipe({ method: 'best' })).toEqual(best);
  expect(methodRecipe({ method: 'best', attentionBits: 7 })).toEqual(best);
  expect(methodRecipe({ method: 'best', attentionBits: 4 })).toEqual({ ...best, attention: 'log2' });
  expect(methodRecipe({ method: 'fq', attentionBits: 7 })).toEqual({ ...fq, attention: 'eighths' });
  expectRefusal(
    { method: 'best', observer: 'ema' },
    'observer: method "best" searches for its ranges, found "ema"',
  );
});

describe.each(OBSERVER_NAMES)('%s', (method) => {
  test('is its own observer, without PTF and with uniform attention', () => {
    const plain = { ...fq, method, observer: method, ptf: false, attention: 'uniform' };
    expect(methodRecipe({ method })).toEqual(plain);
    expect(methodRecipe({ method, observer: method })).toEqual(plain);
    expect(methodRecipe({ method, attentionBits: 4 })).toEqual({ ...plain, attention: 'log2' });
  });

  test('refuses another observer', () => {
    const observer = method === 'ema' ? 'omse' : 'ema';
    expectRefusal({ method, observer }, `method "${method}" is its own observer, found "${observer}"`);
  });
});

test('refuses unknown options', () => {
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
