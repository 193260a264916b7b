import { beforeAll, describe, expect, test } from '@jest/globals';
import type { Output } from '../../src/architecture/output.js';
import { CheckpointError, ImageError, UsageError } from '../../src/errors.js';
import { FloatRunner } from '../../src/forward/float/runner.js';
import { load, type Model } from '../../src/model/model.js';
import { logProbabilities, probabilities } from '../../src/model/rank.js';
import { evaluate, type LabelledImage } from '../../src/quantize/evaluate.js';
import type { ClassificationReport, MultiLabelReport, ValueReport } from '../../src/quantize/measures.js';
import { readWasm } from '../../src/runtime/wasm-node.js';
import { randomPixels } from '../forward/float/support.js';
import { refusal } from '../support/refusal.js';
import { tinyFloat, tinyIntegerFile } from '../support/tiny-integer.js';

const CLASSES = 7;
const reference = tinyFloat({ classes: CLASSES });

/** A model that answers with what `logits` says for the picture of this number. */
function model(logits: (picture: number) => ArrayLike<number>, output: Output = 'softmax'): Model {
  return {
    info: {
      output,
      architecture: { classes: CLASSES, imageSize: 8 },
      preprocessing: { imageSize: 8, cropPct: 1, interpolation: 'bicubic' },
    },
    logitsInSlices: async (pixels: Uint8Array) => Float32Array.from(logits(pixels[0]!)),
  } as unknown as Model;
}

/** Picture `number`: its first byte is its number. */
function picture(number: number): { width: number; height: number; data: Uint8Array } {
  const data = randomPixels(8 * 8 * 3, number + 1);
  data[0] = number;
  return { width: 8, height: 8, data };
}

const labelled = (...classes: number[]): LabelledImage[] =>
  classes.map((truth, number) => ({ image: picture(number), class: truth }));

describe('accuracy', () => {
  // Class 6 best, then 5, 4, ...: the first five are 6 to 2.
  const rising = model(() => [0, 1, 2, 3, 4, 5, 6]);

  test('gives top-1 and top-5 in percent', async () => {
    const report = await evaluate(rising, labelled(6, 6, 5, 2, 1, 0, 6, 3));
    const classes = [
      { index: 0, images: 1, top1: 0 },
      { index: 1, images: 1, top1: 0 },
      { index: 2, images: 1, top1: 0 },
      { index: 3, images: 1, top1: 0 },
      { index: 5, images: 1, top1: 0 },
      { index: 6, images: 3, top1: 100 },
    ];
    expect(report).toEqual({
      output: 'softmax',
      images: 8,
      top1: 37.5,
      top5: 75,
      classes,
      msPerImage: expect.any(Number),
    });
    expect(report.msPerImage).toBeGreaterThanOrEqual(0);
    expect(report).not.toHaveProperty('reference');
  });

  test('all right, all wrong, a single image', async () => {
    expect(await evaluate(rising, labelled(6))).toMatchObject({ images: 1, top1: 100, top5: 100 });
    expect(await evaluate(rising, labelled(0, 1))).toMatchObject({ images: 2, top1: 0, top5: 0 });
  });

  test('equal logits rank by the lowest index', async () => {
    const equal = model(() => Array(CLASSES).fill(1));
    expect(await evaluate(equal, labelled(0, 1, 4, 5))).toMatchObject({ top1: 25, top5: 75 });
  });

  test('reports progress after every image', async () => {
    const seen: number[][] = [];
    await evaluate(rising, labelled(0, 1, 2), { onProgress: (...progress) => seen.push(progress) });
    expect(seen).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
    ]);
  });
});

describe('against a float model', () => {
  let float: Float32Array[];
  const images = labelled(0, 1, 2, 3);
  beforeAll(async () => {
    const runner = await FloatRunner.create(reference, { wasm: await readWasm('float') });
    float = images.map(({ image }) => runner.run([(image as { data: Uint8Array }).data])[0]!);
  });
  const compare = async (logits: (picture: number) => ArrayLike<number>) => {
    const report = (await evaluate(model(logits), images, { reference })) as ClassificationReport;
    return report.reference!;
  };

  test('equal logits, or logits that differ by a constant, have agreement 100 and KL 0', async () => {
    expect(await compare((n) => float[n]!)).toMatchObject({ agreement: 100, kl: 0 });
    const { agreement, kl } = await compare((n) => float[n]!.map((logit) => logit + 4));
    expect(agreement).toBe(100);
    expect(Math.abs(kl)).toBeLessThan(1e-9);
  });

  test('the accuracy is that of the float model', async () => {
    const best = float.map((logits) => logits.indexOf(Math.max(...logits)));
    const wrong = best.map((index, n) => (n === 0 ? (index + 1) % CLASSES : index));
    const report = (await evaluate(
      model(() => [9, 0, 0, 0, 0, 0, 0]),
      labelled(...wrong),
      { reference },
    )) as ClassificationReport;
    expect(report.reference).toMatchObject({ top1: 75 });
    expect(report.top1).toBe(25 * wrong.filter((index) => index === 0).length);
  });

  test('agreement counts the images with the same best class', async () => {
    const agreement = async (others: number) =>
      (await compare((n) => (n < others ? float[n]!.map((logit) => -logit) : float[n]!))).agreement;
    expect([await agreement(0), await agreement(1), await agreement(3)]).toEqual([100, 75, 25]);
  });

  test('KL(float ‖ integer) is in nats, the mean over the images', async () => {
    const others = float.map((logits, n) => logits.map((logit, i) => logit * 0.5 + ((n + i) % 3)));
    const expected = float.map((logits, n) => {
      const softmax = (x: Float32Array) => {
        const sum = x.reduce((total, logit) => total + Math.exp(logit), 0);
        return Array.from(x, (logit) => Math.exp(logit) / sum);
      };
      const [p, q] = [softmax(logits), softmax(others[n]!)];
      return p.reduce((sum, value, i) => sum + value * Math.log(value / q[i]!), 0);
    });
    const mean = expected.reduce((a, b) => a + b) / expected.length;
    expect(mean).toBeGreaterThan(0.05);
    const { kl } = await compare((n) => others[n]!);
    expect(kl).toBeCloseTo(mean, 9);
    // Which of the two comes first matters.
    const reverse = float.map((logits, n) => {
      const [p, q] = [logProbabilities(others[n]!), logProbabilities(logits)];
      return p.reduce((sum, log, i) => sum + Math.exp(log) * (log - q[i]!), 0);
    });
    expect(Math.abs(reverse.reduce((a, b) => a + b) / reverse.length - mean)).toBeGreaterThan(0.001);
  });

  test('stays finite if the integer model is certain of another class', async () => {
    const { kl } = await compare((n) => float[n]!.map((_, i) => (i === 0 ? 1e6 : 0)));
    expect(kl).toBeGreaterThan(1e5);
    expect(Number.isFinite(kl)).toBe(true);
  });
});

describe('a multi-label model', () => {
  /** Logits of picture n: ties, and a class that is nowhere. */
  const logits = (n: number) => Array.from({ length: CLASSES }, (_, c) => ((n * 5 + c * 3) % 7) - 3);
  const images = [[0], [2], [], [0], 2, [], [0, 0], [2]].map(
    (truth, n): LabelledImage => ({ image: picture(n), class: truth }),
  );

  test('mean average precision of the classes that occur equals scikit-learn 1.9.1', async () => {
    expect(await evaluate(model(logits, 'sigmoid'), images)).toEqual({
      output: 'sigmoid',
      images: 8,
      mAP: expect.closeTo(47.083333333333336, 10),
      classes: [
        { index: 0, images: 3, ap: expect.closeTo(30.277777777777775, 10) },
        { index: 2, images: 3, ap: expect.closeTo(63.888888888888886, 10) },
      ],
      msPerImage: expect.any(Number),
    });
  });

  test('against float: equal decisions, and the mean KL of a decision', async () => {
    const runner = await FloatRunner.create(reference, { wasm: await readWasm('float') });
    const float = images.map(({ image }) => runner.run([(image as { data: Uint8Array }).data])[0]!);
    const same = await evaluate(
      model((n) => float[n]!, 'sigmoid'),
      images,
      { reference },
    );
    expect(same.reference).toMatchObject({ mAP: (same as MultiLabelReport).mAP, agreement: 100, kl: 0 });

    const report = (await evaluate(model(logits, 'sigmoid'), images, { reference })) as MultiLabelReport;
    const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
    let alike = 0;
    let kl = 0;
    for (const [n, one] of float.entries()) {
      for (const [c, logit] of logits(n).entries()) {
        const [p, q] = [sigmoid(one[c]!), sigmoid(logit)];
        if (p > 0.5 === q > 0.5) alike++;
        kl += p * Math.log(p / q) + (1 - p) * Math.log((1 - p) / (1 - q));
      }
    }
    const decisions = images.length * CLASSES;
    expect(report.reference!.agreement).toBeCloseTo((100 * alike) / decisions, 10);
    expect(report.reference!.kl).toBeCloseTo(kl / decisions, 10);
    expect(alike).toBeLessThan(decisions);
    expect(report.classes.every(({ referenceAp }) => referenceAp! > 0)).toBe(true);
  });

  test('refuses an evaluation without any class, and unknown classes', async () => {
    const several = model(logits, 'sigmoid');
    const none = images.map(({ image }) => ({ image, class: [] }));
    expect(await refusal(evaluate(several, none), UsageError, 'EVALUATION')).toMatch(
      /a class in at least one/,
    );
    const beyond = [{ image: picture(0), class: [0, 7] }];
    expect(await refusal(evaluate(several, beyond), UsageError, 'EVALUATION')).toBe(
      'evaluate: image 0: expected a class from 0 to 6, found 0,7',
    );
  });

  test('a single-label model refuses several classes', async () => {
    const run = evaluate(model(logits), images);
    expect(await refusal(run, UsageError, 'EVALUATION')).toMatch(
      /^evaluate: image 0: expected a class from 0/,
    );
  });
});

describe('a regression model', () => {
  const one = tinyFloat({ classes: 1, config: { output: 'value' } });
  const regression = (value: (n: number) => number) => {
    const made = model((n) => [value(n)], 'value');
    return {
      ...made,
      info: { ...made.info, architecture: { classes: 1, imageSize: 8 } },
    } as unknown as Model;
  };
  const images = [1, -2, 0.5, 4].map((value, n): LabelledImage => ({ image: picture(n), value }));

  test('gives the mean absolute and the root mean squared error', async () => {
    // off by 1, 0, -2, 1
    const report = await evaluate(
      regression((n) => [2, -2, -1.5, 5][n]!),
      images,
    );
    expect(report).toEqual({
      output: 'value',
      images: 4,
      mae: 1,
      rmse: Math.sqrt(1.5),
      msPerImage: expect.any(Number),
    });
  });

  test('against float: the mean distance', async () => {
    const runner = await FloatRunner.create(one, { wasm: await readWasm('float') });
    const float = images.map(({ image }) => runner.run([(image as { data: Uint8Array }).data])[0]![0]!);
    const report = await evaluate(
      regression((n) => float[n]! + (n % 2 ? 3 : -1)),
      images,
      { reference: one },
    );
    const { difference, mae } = (report as ValueReport).reference!;
    expect(difference).toBeCloseTo(2, 5);
    const errors = float.map((value, n) => Math.abs(value - images[n]!.value!));
    expect(mae).toBeCloseTo(errors.reduce((a, b) => a + b) / 4, 6);
  });

  test.each([undefined, Number.NaN, Infinity])('value %p is refused', async (value) => {
    const run = evaluate(
      regression(() => 0),
      [{ image: picture(0), value: value as number }],
    );
    expect(await refusal(run, UsageError, 'EVALUATION')).toContain(
      'image 0: expected a value, a finite number',
    );
  });
});

test('a real model: equals the library calls', async () => {
  const integer = await load(tinyIntegerFile({ classes: CLASSES, config: { crop_pct: 1 } }));
  const images = labelled(0, 1, 2, 3, 4, 5);
  let right = 0;
  for (const { image, class: truth } of images) {
    const [best] = await integer.classify(image, { top: 1 });
    if (best!.index === truth) right++;
  }
  const { top1 } = (await evaluate(integer, images, { reference })) as ClassificationReport;
  expect(top1).toBeCloseTo((100 * right) / 6, 10);
  expect(await integer.classify(images[0]!.image)).toHaveLength(5);
});

describe('refusals', () => {
  const any = model(() => [0, 1, 2, 3, 4, 5, 6]);

  test('no images', async () => {
    expect(await refusal(evaluate(any, []), UsageError, 'EVALUATION')).toContain(
      'at least one image, found none',
    );
  });

  test.each([-1, 7, 1.5, Number.NaN, '3', undefined])('class %p', async (truth) => {
    const images = [...labelled(0), { image: 'never read', class: truth as number }];
    const message = await refusal(evaluate(any, images), UsageError, 'EVALUATION');
    expect(message).toBe(`evaluate: image 1: expected a class from 0 to 6, found ${String(truth)}`);
  });

  test('a reference with other classes or another image size', async () => {
    for (const other of [tinyFloat({ classes: 3 }), tinyFloat({ classes: CLASSES, grid: 3 })]) {
      const run = evaluate(any, labelled(0), { reference: other });
      expect(await refusal(run, CheckpointError, 'CHECKPOINT_ARCHITECTURE')).toMatch(
        /^reference: (classes: expected 7|imageSize: expected 8), .* found (3|12)$/,
      );
    }
  });

  test('the first unreadable image ends it', async () => {
    const images = [...labelled(0), { image: Uint8Array.of(1, 2, 3), class: 0 }];
    await refusal(evaluate(any, images), ImageError, 'IMAGE_FORMAT');
  });

  test('an abort rejects with its reason', async () => {
    const reason = new Error('enough');
    const controller = new AbortController();
    const seen: number[] = [];
    const run = evaluate(any, labelled(0, 1, 2), {
      signal: controller.signal,
      onProgress: (done) => {
        seen.push(done);
        controller.abort(reason);
      },
    });
    await expect(run).rejects.toBe(reason);
    expect(seen).toEqual([1]);
    const many = Array(10_000).fill(labelled(0)[0]!);
    await expect(evaluate(any, many, { signal: AbortSignal.timeout(30) })).rejects.toThrow(/timeout/);
  });
});

test('probabilities sum to 1 and keep the order of the logits, however different they are', () => {
  for (const logits of [[0], [0, 0], [1e30, -1e30, 0], [-1000, -1001], [3, 2, 1]]) {
    const p = probabilities(logits);
    expect(p.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    logits.slice(1).forEach((logit, i) => {
      expect(Math.sign(logits[i]! - logit) * (p[i]! - p[i + 1]!)).toBeGreaterThanOrEqual(0);
    });
  }
});
