import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FloatModelOptions } from '../checkpoint/float-model.js';
import { findArchitecture } from '../checkpoint/timm-architectures.js';
import { CheckpointError } from '../errors.js';
import { readBytes } from '../platform/bytes.js';
import { expectFile, isUrl, kind, readText } from './files.js';
import { warn } from './report.js';

export interface FloatSource {
  readonly bytes: Uint8Array;
  /** The file with the weights. */
  readonly path: string;
  /** What the folder's config.json says. */
  readonly options: FloatModelOptions;
}

/**
 * Reads a float checkpoint: a file, or a folder with `model.safetensors` and, as timm saves it, `config.json`.
 *
 * @throws RuntimeError `SOURCE`; CheckpointError `CHECKPOINT_CONFIG`
 */
export async function readFloatSource(source: string): Promise<FloatSource> {
  if (isUrl(source) || (await kind(source, 'a file or folder')) === 'file') {
    return { bytes: (await readBytes(source)).bytes, path: source, options: { file: source } };
  }
  const path = join(source, 'model.safetensors');
  await expectFile(path);
  const options = { file: path, ...(await folderConfig(join(source, 'config.json'))) };
  return { bytes: (await readBytes(path)).bytes, path, options };
}

/** What timm's config.json tells of architecture and preprocessing; the library validates the values. */
async function folderConfig(path: string): Promise<FloatModelOptions> {
  if (!existsSync(path)) return {};
  const {
    architecture,
    pretrained_cfg: preprocessing,
    label_names: labels,
  } = jsonObject(await readText(path), path);
  if (typeof architecture !== 'string' || typeof preprocessing !== 'object' || preprocessing === null) {
    warn(`${path}: expected timm's "architecture" and "pretrained_cfg", found neither or one: it is ignored`);
    return {};
  }
  const { crop_pct, interpolation, mean, std, input_size } = preprocessing as Record<string, unknown>;
  const known = findArchitecture(architecture);
  return {
    config: { crop_pct, interpolation, mean, std, labels, image_size: swinSize(architecture, input_size) },
    ...(known ? { arch: known.name } : {}),
  };
}

/** The image size of a Swin, `input_size` [3, S, S]: its tensors do not tell it, those of others do. */
function swinSize(architecture: string, inputSize: unknown): unknown {
  return architecture.startsWith('swin') && Array.isArray(inputSize) ? inputSize[1] : undefined;
}

function jsonObject(text: string, path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Refused below.
  }
  throw new CheckpointError('CHECKPOINT_CONFIG', `${path}: expected a JSON object, found something else`);
}
