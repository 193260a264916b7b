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
  Gelu,
  SwinArchitecture,
  VitArchitecture,
  VitFamily,
  VitPool,
} from './checkpoint/architecture.js';
export type { Rgb } from './checkpoint/float-config.js';
export type {
  ActivationBits,
  AttentionCodes,
  Method,
  ModelPreprocessing,
  ObserverName,
  Recipe,
  WeightBits,
} from './checkpoint/integer-description.js';
export type { Interpolation } from './checkpoint/interpolation.js';
export type { Output } from './checkpoint/output.js';
export {
  type AttentionMap,
  type AttentionOptions,
  type ClassifyOptions,
  type LoadOptions,
  load,
  Model,
  type ModelInfo,
} from './classify.js';
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
export type { SeenPart } from './image/preprocess.js';
export type { ImageSource } from './image/source.js';
export type { RawPixels } from './image/types.js';
export type { AttentionMethod } from './models/attention-map.js';
export type { ByteSource } from './platform/bytes.js';
export type { WasmBinary } from './platform/compile.js';
export type { Prediction } from './predict.js';
export type { Tier } from './runtime/kernels.js';
