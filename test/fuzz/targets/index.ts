import type { Target } from '../target.js';
import { configs } from './configs.js';
import { floatCheckpoint } from './float-checkpoint.js';
import { http } from './http.js';
import { integerCheckpoint } from './integer-checkpoint.js';
import { jpeg } from './jpeg.js';
import { labels } from './labels.js';
import { onnx } from './onnx.js';
import { png } from './png.js';
import { program } from './program.js';
import { pth } from './pth.js';
import { safetensors } from './safetensors.js';
import { webp } from './webp.js';

export const TARGETS: readonly Target[] = [
  integerCheckpoint,
  program,
  safetensors,
  floatCheckpoint,
  pth,
  onnx,
  png,
  jpeg,
  webp,
  http,
  labels,
  configs,
];

export function targetNamed(name: string): Target {
  return TARGETS.find((target) => target.name === name)!;
}
