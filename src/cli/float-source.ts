import { readdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import type { FloatFile, FloatModelOptions } from '../checkpoint/float-model.js';
import { huggingFaceConfig, isHuggingFaceConfig } from '../checkpoint/hugging-face-config.js';
import { shown } from '../checkpoint/shown.js';
import { findArchitecture } from '../checkpoint/timm-architectures.js';
import { CheckpointError, RuntimeError } from '../errors.js';
import type { HubSource } from '../hub/id.js';
import { hubSource } from '../model-source-node.js';
import { readBytes } from '../platform/bytes.js';
import { expectFile, isUrl, kind, readText } from './files.js';
import { downloadProgress } from './progress.js';
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

/** Files that belong together, here or on the hub. */
interface Place {
  readonly folder: string;
  /** All that there are, with `/` between folders. */
  readonly names: readonly string[];
  /** Sees to it that files are in the folder. */
  fetch(names: readonly string[]): Promise<unknown>;
}

/**
 * Reads a float checkpoint: a file; a folder with the weights and their configs, as timm, transformers and the Hugging Face hub have them; the id of a
 * model on the hub, or of one of its files.
 *
 * @throws RuntimeError `SOURCE`; CheckpointError `CHECKPOINT_CONFIG`, `CHECKPOINT_INDEX`; HubError
 */
export async function readFloatSource(source: string): Promise<FloatSource> {
  const hub = hubSource(source);
  if (hub) return fromHub(hub, source);
  if (isUrl(source) || (await kind(source, 'a file, a folder or a model on the hub')) === 'file') {
    const { bytes } = await readBytes(source);
    return { bytes, size: bytes.length, path: source, options: { file: source } };
  }
  return readPlace({ folder: source, names: await readdir(source), fetch: async () => {} }, source);
}

async function fromHub({ name, revision, file }: HubSource, source: string): Promise<FloatSource> {
  const { openRepository } = await import('../hub/repository.js');
  const progress = downloadProgress(source);
  const repository = await openRepository(`${name}@${revision}`, { onProgress: progress.update });
  if (repository.away) warn(`${repository.away.message}: the copy in the cache is taken`);
  const names = repository.files.map(({ path }) => path);
  try {
    return await readPlace({ ...repository, names }, source, file);
  } finally {
    progress.stop();
  }
}

/** @param source how messages name it */
async function readPlace(place: Place, source: string, file = weightsOrIndex(place.names, source)) {
  const { folder, names } = place;
  const configs = CONFIGS.filter((name) => names.includes(name));
  await place.fetch([...configs, file]);
  const options = await folderConfig(folder, configs);
  let paths = [join(folder, file)];
  await expectFile(paths[0]!);
  if (isIndex(file)) {
    const parts = (await shards(paths[0]!)).map((name) => posix.join(posix.dirname(file), name));
    await place.fetch(parts);
    paths = parts.map((part) => join(folder, part));
  }
  const files: Uint8Array[] = [];
  for (const path of paths) files.push((await readBytes(path)).bytes);
  const size = files.reduce((total, { length }) => total + length, 0);
  const [path] = paths as [string];
  return { bytes: files.length === 1 ? files[0]! : files, size, path, options: { file: path, ...options } };
}

/** The file with the weights, or the index of several; of another name only where there is one. */
function weightsOrIndex(names: readonly string[], place: string): string {
  const choices = WEIGHTS.flatMap((name) => [name, `${name}.index.json`]);
  const named = choices.find((name) => names.includes(name));
  if (named !== undefined) return named;
  const others = names.filter((name) => /\.(safetensors|onnx)$/.test(name));
  if (others.length === 1) return others[0]!;
  const found = others.length === 0 ? 'none of them' : others.slice(0, 6).map(shown).join(', ');
  throw new RuntimeError(
    'SOURCE',
    `${place}: expected one of ${choices.join(', ')}, or one other .safetensors or .onnx file, found ${found}`,
  );
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
