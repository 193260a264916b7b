/**
 * Makes integer checkpoints from float ones, and measures them: Node, Deno and Bun.
 *
 * @module fqvit/quantize
 */

export type { FloatConfig } from '../checkpoint/float/config.js';
export type { FloatFile } from '../checkpoint/float/container.js';
export {
  type FloatArchitecture,
  type FloatModel,
  type FloatModelOptions,
  readFloatModel,
} from '../checkpoint/float/model.js';
export type { FloatTensor } from '../checkpoint/float/tensor.js';
export type { QuantizerScale } from '../checkpoint/integer/description.js';
export type { IntegerModel } from '../checkpoint/integer/model.js';
export { parseLabels } from '../labels/parse.js';
export type { Labels } from '../labels/wnids.js';
export type { IntegerArray } from '../layers/tensor-spec.js';
export type { CalibrationProgress } from './calibrate.js';
export { type EvaluateOptions, evaluate, type LabelledImage } from './evaluate.js';
export {
  type LayerError,
  type LayerErrorsOptions,
  type LayerKind,
  layerErrors,
} from './layer-errors.js';
export type {
  ClassificationReport,
  ClassReport,
  Difference,
  Distances,
  Evaluation,
  EvaluationReport,
  MeanPrecision,
  MultiLabelReport,
  PrecisionReport,
  Timed,
  Top,
  ValueReport,
} from './measures.js';
export type { Nearness } from './nearness.js';
export { type Quantized, type QuantizeOptions, quantize, type Skipped, sourceSha256 } from './quantize.js';
export type { AttentionBits, MethodOptions } from './recipe.js';
