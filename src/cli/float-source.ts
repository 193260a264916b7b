import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { FloatFile, FloatModelOptions } from '../checkpoint/float-model.js';
import { huggingFaceConfig, isHuggingFaceConfig } from '../checkpoint/hugging-face-config.js';
import { shown } from '../checkpoint/shown.js';
import { findArchitecture } from '../checkpoint/timm-architectures.js';
import { CheckpointError, RuntimeError } from '../errors.js';
import { isHubId } from '../hub/id.js';
import { readBytes } from '../platform/bytes.js';
import { expectFile, isUrl, kind, readText } from './files.js';
import { startProgress } from './progress.js';
import { warn } from './report.js';

export interface FloatSource {
  readonly bytes: FloatFile;
  /** Of all parts together. */
  readonly size: number;
  /** The file with the weights, or the first of several. */
  readonly path: string;
  /** What the folder's config files say. */
  readonly options: FloatModelOptions;
}

const CONFIGS = ['config.json', 'preprocessor_config.json'] as const;

/** What the weights are called in a folder: the first that is there. */
const WEIGHTS = ['model.safetensors', 'pytorch_model.bin'] as const;

/**
 * Reads a float checkpoint: a file; a folder with the weights and their configs, as timm, transformers and the Hugging Face hub have them; the id of a
 * model on the hub.
 *
 * @throws RuntimeError `SOURCE`; CheckpointError `CHECKPOINT_CONFIG`, `CHECKPOINT_INDEX`; HubError
 */
export async function readFloatSource(source: string): Promise<FloatSource> {
  if (isHubId(source)) return readFolder(await download(source));
  if (isUrl(source) || (await kind(source, 'a file, a folder or a model on the hub')) === 'file') {
    const { bytes } = await readBytes(source);
    return { bytes, size: bytes.length, path: source, options: { file: source } };
  }
  return readFolder(source);
}

async function readFolder(folder: string): Promise<FloatSource> {
  const names = await readdir(folder);
  const paths = await weightPaths(folder, names);
  const [path] = paths as [string];
  const options = { file: path, ...(await folderConfig(folder, names)) };
  const files: Uint8Array[] = [];
  for (const one of paths) files.push((await readBytes(one)).bytes);
  const size = files.reduce((total, { length }) => total + length, 0);
  return { bytes: files.length === 1 ? files[0]! : files, size, path, options };
}

/** Downloads what `readFolder` needs of a model on the hub. @returns the folder */
async function download(id: string): Promise<string> {
  const { openRepository } = await import('../hub/repository.js');
  let progress: ReturnType<typeof startProgress> | undefined;
  const repository = await openRepository(id, {
    onProgress(loaded, total) {
      progress ??= startProgress(`downloading ${id}`, total, 'byte');
      progress.update(loaded, total);
    },
  });
  if (repository.away) warn(`${repository.away.message}: the copy in the cache is taken`);
  const names = repository.files.map(({ path }) => path);
  try {
    const wanted = CONFIGS.filter((name) => names.includes(name));
    const weights = weightsOrIndex(names, id);
    await repository.fetch([...wanted, weights]);
    if (isIndex(weights)) await repository.fetch(await shards(join(repository.folder, weights)));
  } finally {
    progress?.stop();
  }
  return repository.folder;
}

async function weightPaths(folder: string, names: readonly string[]): Promise<string[]> {
  const name = weightsOrIndex(names, folder);
  const path = join(folder, name);
  await expectFile(path);
  return isIndex(name) ? (await shards(path)).map((shard) => join(folder, shard)) : [path];
}

/** The file with the weights, or the index of several. */
function weightsOrIndex(names: readonly string[], place: string): string {
  const choices = WEIGHTS.flatMap((name) => [name, `${name}.index.json`]);
  const found = choices.find((name) => names.includes(name));
  if (found !== undefined) return found;
  throw new RuntimeError('SOURCE', `${place}: expected one of ${choices.join(', ')}, found none of them`);
}

const isIndex = (name: string) => name.endsWith('.index.json');

/** The files of an index, each once. */
async function shards(index: string): Promise<string[]> {
  const { weight_map: map } = jsonObject(await readText(index), index);
  const names = [...new Set(Object.values(Object(map)))];
  const strange = names.find((name) => typeof name !== 'string' || !/^[\w-][\w.-]*$/.test(name));
  if (names.length === 0 || strange !== undefined) {
    throw new CheckpointError(
      'CHECKPOINT_INDEX',
      `${index}: weight_map: expected names of files beside it, found ${names.length === 0 ? 'none' : shown(strange)}`,
    );
  }
  return (names as string[]).sort();
}

/** What config.json and preprocessor_config.json tell of architecture and preprocessing; the library validates the values. */
async function folderConfig(folder: string, names: readonly string[]): Promise<FloatModelOptions> {
  const [config, preprocessor] = await Promise.all(
    CONFIGS.map(async (name) => {
      if (!names.includes(name)) return undefined;
      const path = join(folder, name);
      return jsonObject(await readText(path), path);
    }),
  );
  if (config === undefined) return {};
  if (!isHuggingFaceConfig(config)) return timmConfig(config, join(folder, 'config.json'));
  const { config: translated, warnings } = huggingFaceConfig(config, preprocessor, (message) => {
    throw new CheckpointError('CHECKPOINT_CONFIG', `${join(folder, 'config.json')}: ${message}`);
  });
  for (const warning of warnings) warn(warning);
  return { config: translated };
}

function timmConfig(json: Record<string, unknown>, path: string): FloatModelOptions {
  const { architecture, pretrained_cfg: preprocessing, label_names: labels, global_pool } = json;
  if (typeof architecture !== 'string' || typeof preprocessing !== 'object' || preprocessing === null) {
    warn(
      `${path}: expected timm's "architecture" and "pretrained_cfg" or transformers' "model_type", found none of them: it is ignored`,
    );
    return {};
  }
  const { crop_pct, crop_mode, interpolation, mean, std, input_size } = preprocessing as Record<
    string,
    unknown
  >;
  const known = findArchitecture(architecture);
  return {
    config: {
      ...{ crop_pct, interpolation, mean, std, labels },
      image_size: swinSize(architecture, input_size),
      ...(crop_mode === 'squash' ? { crop_mode } : {}),
      ...(global_pool === 'avg' ? { global_pool } : {}),
    },
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
