import type {
  ClassificationReport,
  EvaluationReport,
  MultiLabelReport,
  ValueReport,
} from '../quantize/index.js';
import { formatValue } from './format.js';

type TableRow = readonly string[];

/** The tables that `fqvit eval` prints, without the times; header rows first. */
export interface EvaluationTables {
  /** Figures of the integer model and, if there is a reference, of the float model. */
  readonly figures: readonly TableRow[];
  /** The cells after the name of each class; none for a regression. */
  readonly classes: readonly TableRow[];
  /** Agreement of the two models, without a header. */
  readonly nearness: readonly TableRow[];
}

export function evaluationTables(report: EvaluationReport): EvaluationTables {
  if (report.output === 'softmax') return accuracy(report);
  return report.output === 'sigmoid' ? precision(report) : errors(report);
}

function accuracy({ top1, top5, classes, reference }: ClassificationReport): EvaluationTables {
  const row = (of: { top1: number; top5: number }) => [percent(of.top1, 2), percent(of.top5, 2)];
  return {
    figures: [['top-1', 'top-5'], row({ top1, top5 }), ...(reference ? [row(reference)] : [])],
    classes: [
      ['images', 'top-1', ...(reference ? ['float'] : [])],
      ...classes.map((one) => [String(one.images), ...percents(one.top1, one.referenceTop1)]),
    ],
    nearness: reference
      ? nearness(reference, 'of images in the same class', 'mean, float against integer')
      : [],
  };
}

function precision({ mAP, classes, reference }: MultiLabelReport): EvaluationTables {
  return {
    figures: [['mAP'], [percent(mAP, 2)], ...(reference ? [[percent(reference.mAP, 2)]] : [])],
    classes: [
      ['images', 'AP', ...(reference ? ['float'] : [])],
      ...classes.map((one) => [String(one.images), ...percents(one.ap, one.referenceAp)]),
    ],
    nearness: reference
      ? nearness(
          reference,
          'of decisions equal (is this class in this image, above 50 %?)',
          'mean of a decision, float against integer',
        )
      : [],
  };
}

function errors({ mae, rmse, reference }: ValueReport): EvaluationTables {
  const row = (of: { mae: number; rmse: number }) => [formatValue(of.mae), formatValue(of.rmse)];
  return {
    figures: [['MAE', 'RMSE'], row({ mae, rmse }), ...(reference ? [row(reference)] : [])],
    classes: [],
    nearness: reference
      ? [['difference', `${formatValue(reference.difference)} between the models on average`]]
      : [],
  };
}

function nearness(
  { agreement, kl }: { agreement: number; kl: number },
  what: string,
  mean: string,
): TableRow[] {
  return [
    ['agreement', `${percent(agreement, 2)} ${what}`],
    ['KL', `${kl.toFixed(4)} nats (${mean})`],
  ];
}

function percents(...values: readonly (number | undefined)[]): string[] {
  return values.filter((value) => value !== undefined).map((value) => percent(value, 1));
}

function percent(value: number, digits: number): string {
  return `${value.toFixed(digits)} %`;
}
