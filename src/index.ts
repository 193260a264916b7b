export type { Architecture, SwinArchitecture, VitArchitecture } from './checkpoint/architecture.js';
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
export type { ImageSource, RawPixels } from './image/source.js';
export type { ByteSource } from './platform/bytes.js';
export type { Prediction } from './predict.js';
export type { Tier } from './runtime/kernels.js';
