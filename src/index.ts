/**
 * Loads integer checkpoints and classifies images with them, in Node, Deno, Bun, workerd and
 * browsers.
 *
 * `fqvit/browser` has the same exports as a ready-made ES module, for pages without a bundler and
 * for bundlers that do not find `.wasm` files by themselves.
 *
 * @module fqvit
 */

export type {
  Architecture,
  Family,
  SwinArchitecture,
  VitArchitecture,
  VitFamily,
  VitPool,
} from './architecture/architecture.js';
export type { Output } from './architecture/output.js';
export type {
  ActivationBits,
  AttentionCodes,
  Method,
  ModelPreprocessing,
  ObserverName,
  Recipe,
  WeightBits,
} from './checkpoint/integer/description.js';
export {
  CheckpointError,
  FqvitError,
  HubError,
  ImageError,
  QuantizeError,
  RuntimeError,
  UsageError,
} from './errors.js';
export type { Frame } from './image/frame.js';
export type { Interpolation } from './image/resize/interpolation.js';
export type { SeenPart } from './image/resize/preprocess.js';
export type { ImageSource } from './image/source.js';
export type { RawPixels, Rgb } from './image/types.js';
export type { Gelu } from './layers/gelu/layer.js';
export type { AttentionMethod } from './model/attention-map.js';
export {
  type AttentionMap,
  type AttentionOptions,
  type ClassifyOptions,
  type LoadOptions,
  load,
  Model,
  type ModelInfo,
} from './model/model.js';
export type { Prediction } from './model/predict.js';
export type { ByteSource } from './platform/bytes.js';
export type { WasmBinary } from './platform/compile.js';
export type { Tier } from './runtime/kernels.js';
