import { existsSync } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isTimmConfig, timmConfig } from '../checkpoint/config/timm-config.js';
import { isTransformersConfig, transformersConfig } from '../checkpoint/config/transformers-config.js';
import { externalNamesOf, type FloatFile, readFloatContainer } from '../checkpoint/float/container.js';
import type { FloatModelOptions } from '../checkpoint/float/model.js';
import { saysInteger } from '../checkpoint/integer/description.js';
import { isOnnx, isTorch } from '../checkpoint/safetensors/foreign-file.js';
import { readSafetensors } from '../checkpoint/safetensors/safetensors.js';
import { CheckpointError, RuntimeError } from '../errors.js';
import type { HubSource } from '../hub/id.js';
import { hubSource, noPathEither, WEIGHT_FILE } from '../model/source-node.js';
import { shownSource } from '../platform/address.js';
import { readBytes } from '../platform/bytes.js';
import { expectFile, isUrl, kind, readText } from '../platform/files.js';
import { joinPath } from '../platform/join-path.js';
import { MAX_BYTES } from '../platform/read-options.js';
import { formatValue } from '../text/format-value.js';
import type { Refuse } from '../text/refuse.js';
import { downloadProgress } from './progress.js';
import { note, warn } from './report.js';

export interface SourceFiles {
  readonly bytes: FloatFile;
  /** Bytes of all parts together. */
  readonly size: number;
  /** The file with the weights, or the first of several, as messages name it. */
  readonly path: string;
  /** All files that were read, as paths. */
  readonly files: readonly string[];
  /** The options that the config files give. */
  readonly options: FloatModelOptions;
}

/** transformers 5 prefers `image_processor` of the third to the second. */
const CONFIGS = ['config.json', 'preprocessor_config.json', 'processor_config.json'] as const;

/** Names of the weights in a folder; the first that exists counts. */
const WEIGHTS = ['model.safetensors', 'pytorch_model.bin'] as const;

/** Files that a training run saves next to the weights in order to resume. */
const TRAINING_FILE =
  /(^|\/)(optimizer|(lr_)?scheduler|scaler|sampler|training_args|rng_state|random_states)\w*\.\w+$/;

/** Files of PEFT, which change another model's weights. */
const ADAPTER_FILE = /^adapter_(config\.json|model\.\w+)$/;

/** The largest memory of WebAssembly. */
const MAX_TOTAL_BYTES = 2 ** 32;

/** Files that belong together, on disk or on the hub. */
interface SourcePlace {
  readonly folder: string;
  /** All files, with `/` between folders. */
  readonly names: readonly string[];
  /** The paths of these files, downloaded if necessary. */
  fetch(names: readonly string[]): Promise<string[]>;
  /** Like `fetch`, for names from an untrusted file. */
  fetchInside(names: readonly string[]): Promise<string[]>;
}

/**
 * Reads a float checkpoint:
 *
 * - a file, or the index of several;
 * - a folder with weights and configs, as timm, transformers and the Hugging Face hub lay it out;
 * - a model on the hub, or one of its files.
 *
 * Configs next to a file apply to it.
 *
 * @param arch the caller's timm name, which overrides the name in timm's config.json
 * @throws RuntimeError `SOURCE`; CheckpointError `CHECKPOINT_CONFIG`, `CHECKPOINT_INDEX`,
 *   `CHECKPOINT_EXTERNAL`, `CHECKPOINT_ADAPTER`; HubError; UsageError `MODEL_OPTION` for `arch`
 */
export async function readFloatSource(source: string, arch?: string): Promise<SourceFiles> {
  const hub = hubSource(source);
  if (hub) return fromHub(hub, source, arch);
  if (isUrl(source)) return readWeights([source], async () => []);
  const isFile = (await kind(source, 'a file, a folder or a model on the hub')) === 'file';
  const folder = isFile ? dirname(source) : source;
  const names = isFile ? CONFIGS.filter((name) => existsSync(join(folder, name))) : await readdir(folder);
  const place: SourcePlace = {
    folder,
    names,
    fetch: async (found) =>
      found.map((name) => (isFile && name === basename(source) ? source : joinPath(folder, name))),
    fetchInside: (found) => filesInside(folder, found),
  };
  return readPlace(place, source, arch, isFile ? basename(source) : undefined);
}

async function fromHub(
  { name, revision, file }: HubSource,
  source: string,
  arch: string | undefined,
): Promise<SourceFiles> {
  const { openRepository } = await import('../hub/repository.js');
  const progress = downloadProgress(source);
  const onProgress = (loaded: number, total: number) => progress.update(loaded, total);
  const repository = await openRepository(`${name}@${revision}`, { onProgress }).catch((error) => {
    throw noPathEither(error, source);
  });
  if (repository.away) warn(`${repository.away.message}: using the copy in the cache`);
  const { folder, fetch } = repository;
  const place = { folder, names: repository.files.map(({ path }) => path), fetch, fetchInside: fetch };
  try {
    return await readPlace(place, source, arch, file);
  } finally {
    progress.stop();
  }
}

/**
 * @param source its name in messages
 * @param named the weights file, if the caller named it
 */
async function readPlace(
  { folder, names, fetch, fetchInside }: SourcePlace,
  source: string,
  arch: string | undefined,
  named?: string,
): Promise<SourceFiles> {
  const file = named ?? weightsOrIndex(names, source);
  const beside = (found: readonly string[]) => found.map((name) => posix.join(posix.dirname(file), name));
  const [path] = (await fetch([file])) as [string];
  await expectFile(path);
  const map = isIndex(file) ? await shards(path) : undefined;
  const paths = map ? await fetch(beside([...map.keys()])) : [path];
  const weights = await readWeights(paths, (found) => fetchInside(beside(found)));
  if (map) checkShards(map, weights, path);
  if (isInteger(weights)) return weights;
  // configs in the folder of the file, otherwise those of the model
  const present = (all: readonly string[]) => all.filter((name) => names.includes(name));
  const own = present(beside(['config.json'])).length > 0 ? present(beside(CONFIGS)) : present(CONFIGS);
  const configs = await fetch(own);
  const place = joinPath(folder, dirname(own[0] ?? ''));
  const options = await folderConfig(
    place,
    own.map((name) => posix.basename(name)),
    { arch, strays: named !== undefined },
  );
  if (named !== undefined && own.length > 0) note(`fqvit: ${path} is read with ${configs.join(' and ')}`);
  const files = [...weights.files, path, ...configs];
  return { ...weights, files, options: { ...weights.options, ...options } };
}

/** Whether this is an integer checkpoint, which needs no config. */
function isInteger({ bytes, path }: SourceFiles): boolean {
  if (!(bytes instanceof Uint8Array) || isTorch(bytes) || isOnnx(bytes)) return false;
  const { fqvit } = readSafetensors(bytes, { file: path }).metadata;
  return fqvit !== undefined && saysInteger(fqvit);
}

/** @param fetchExternal resolves to the paths of the external files of an ONNX model */
async function readWeights(
  paths: readonly string[],
  fetchExternal: (names: readonly string[]) => Promise<string[]>,
): Promise<SourceFiles> {
  const [file] = paths as [string];
  const parts = await readAll(paths);
  const bytes = parts.length === 1 ? parts[0]! : parts;
  const names = bytes instanceof Uint8Array ? externalNamesOf(bytes, file) : [];
  const externalPaths = await fetchExternal(names);
  const external = await readAll(externalPaths);
  const externalFiles = new Map(names.map((name, i) => [name, external[i]!]));
  const size = [...parts, ...external].reduce((total, { length }) => total + length, 0);
  const files = [...paths, ...externalPaths].map((path) =>
    /^file:\//i.test(path) ? fileURLToPath(path) : path,
  );
  const path = shownSource(file);
  return { bytes, size, path, files, options: { file: path, externalFiles } };
}

/** @throws RuntimeError `SOURCE`, also for more than `MAX_TOTAL_BYTES` in all */
async function readAll(paths: readonly string[]): Promise<Uint8Array[]> {
  const files: Uint8Array[] = [];
  let left = MAX_TOTAL_BYTES;
  for (const path of paths) {
    const { bytes } = await readBytes(path, { maxBytes: Math.min(left, MAX_BYTES) });
    left -= bytes.length;
    files.push(bytes);
  }
  return files;
}

/**
 * Paths in a folder.
 *
 * @throws CheckpointError `CHECKPOINT_EXTERNAL` if a link leads out of it; RuntimeError `SOURCE` if
 *   a file is missing
 */
async function filesInside(folder: string, names: readonly string[]): Promise<string[]> {
  const paths = names.map((name) => joinPath(folder, name));
  for (const path of paths) {
    await expectFile(path);
    const way = relative(await realpath(folder), await realpath(path));
    if (!isAbsolute(way) && way.split(sep)[0] !== '..') continue;
    throw new CheckpointError(
      'CHECKPOINT_EXTERNAL',
      `${path}: expected weights inside ${folder}, found a link that leads out of it`,
    );
  }
  return paths;
}

/**
 * The weights file, or the index of several. A file with another name must be the only one.
 *
 * @throws CheckpointError `CHECKPOINT_ADAPTER`; RuntimeError `SOURCE` for none or several
 */
function weightsOrIndex(names: readonly string[], place: string): string {
  const adapter = names.find((name) => ADAPTER_FILE.test(name));
  if (adapter !== undefined) {
    throw new CheckpointError(
      'CHECKPOINT_ADAPTER',
      `${place}: expected a whole model, found an adapter (${adapter}); merge it into its model first, with merge_and_unload of PEFT`,
    );
  }
  const choices = WEIGHTS.flatMap((name) => [name, `${name}.index.json`]);
  const named = choices.find((name) => names.includes(name));
  if (named !== undefined) return named;
  const others = names.filter((name) => WEIGHT_FILE.test(name) && !TRAINING_FILE.test(name));
  if (others.length === 1) return others[0]!;
  const found =
    others.length === 0
      ? 'none'
      : `${others.slice(0, 6).map(formatValue).join(', ')}${others.length > 6 ? ', ...' : ''}; name one of them`;
  throw new RuntimeError(
    'SOURCE',
    `${place}: expected one of ${choices.join(', ')}, or one other .safetensors, .pth, .pt, .bin, .ckpt or .onnx file, found ${found}`,
  );
}

const isIndex = (name: string) => name.endsWith('.index.json');

/**
 * The files of an index, by name, and the tensors of each.
 *
 * @throws CheckpointError `CHECKPOINT_INDEX`
 */
async function shards(index: string): Promise<Map<string, Set<string>>> {
  const { weight_map: map } = jsonObject(await readText(index), index);
  const files = new Map<string, Set<string>>();
  for (const [tensor, name] of Object.entries(Object(map))) {
    if (typeof name !== 'string' || !/^[\w-][\w.-]*$/.test(name)) {
      refuseIndex(index, `expected names of files in its folder, found ${formatValue(name)}`);
    }
    const tensors = files.get(name as string) ?? new Set();
    files.set(name as string, tensors.add(tensor));
  }
  if (files.size === 0) refuseIndex(index, 'expected names of files in its folder, found none');
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Checks the tensors of each part against the index. @throws CheckpointError `CHECKPOINT_INDEX` */
function checkShards(
  map: ReadonlyMap<string, ReadonlySet<string>>,
  { bytes, files }: SourceFiles,
  index: string,
): void {
  const parts = bytes instanceof Uint8Array ? [bytes] : bytes;
  for (const [i, [part, expected]] of [...map].entries()) {
    const { tensors } = readFloatContainer(parts[i]!, { file: files[i]! });
    const lost = [...expected].find((name) => !tensors.has(name));
    if (lost !== undefined)
      refuseIndex(index, `expected ${formatValue(lost)} in ${part}, found no such tensor`);
    const extra = [...tensors.keys()].find((name) => !expected.has(name));
    if (extra !== undefined)
      refuseIndex(index, `expected an entry for ${formatValue(extra)} of ${part}, found none`);
  }
}

function refuseIndex(index: string, message: string): never {
  throw new CheckpointError('CHECKPOINT_INDEX', `${index}: weight_map: ${message}`);
}

/**
 * Reads architecture and preprocessing from the config files. The library checks the values.
 *
 * @param options.strays whether the files may belong to another program; they are then ignored
 */
async function folderConfig(
  folder: string,
  names: readonly string[],
  { arch, strays }: { arch: string | undefined; strays: boolean },
): Promise<FloatModelOptions> {
  const [config, apart, ofProcessor] = await Promise.all(
    CONFIGS.map(async (name) => {
      if (!names.includes(name)) return undefined;
      const path = joinPath(folder, name);
      return jsonObject(await readText(path), path);
    }),
  );
  const [refuse, refuseApart, refuseNested] = CONFIGS.map((name) => (message: string): never => {
    throw new CheckpointError('CHECKPOINT_CONFIG', `${join(folder, name)}: ${message}`);
  }) as [Refuse, Refuse, Refuse];
  const nested = ofProcessor?.image_processor;
  if (nested !== undefined && !isObject(nested)) {
    refuseNested(`image_processor: expected an object, found ${formatValue(nested)}`);
  }
  if (nested !== undefined && apart !== undefined && !isSame(nested, apart)) {
    refuseNested(`image_processor: expected what ${CONFIGS[1]} says, found something else`);
  }
  const preprocessor = apart ?? (nested as typeof apart);
  const refusePreprocessor =
    nested === undefined ? refuseApart : (message: string) => refuseNested(`image_processor: ${message}`);
  if (config === undefined && preprocessor === undefined) return {};
  const ignore = (name: string, message: string, fail: Refuse) => {
    if (!strays) fail(message);
    warn(`${join(folder, name)} is ignored: ${message}`);
    return {};
  };
  if (config === undefined) {
    return ignore(CONFIGS[1], 'expected a config.json next to it, found none', refusePreprocessor);
  }
  // transformers' wrapper of timm's models has both keys
  const isTransformers = isTransformersConfig(config);
  if (!isTransformers && !isTimmConfig(config)) {
    const message = 'expected "architecture" of timm or "model_type" of transformers, found neither';
    return ignore(CONFIGS[0], message, refuse);
  }
  const { warnings, ...translated } = isTransformers
    ? transformersConfig(config, preprocessor, refuse, refusePreprocessor)
    : timmConfig(config, refuse, arch);
  if (!isTransformers && preprocessor !== undefined) {
    const name = CONFIGS[apart === undefined ? 2 : 1];
    warn(`${join(folder, name)} is ignored: timm's config.json describes the preprocessing`);
  }
  for (const warning of warnings) warn(warning);
  return translated;
}

/** Compares JSON values up to the depth of these files; deeper values count as different. */
function isSame(one: unknown, other: unknown, depth = 3): boolean {
  if (typeof one !== 'object' || typeof other !== 'object' || !one || !other || depth === 0)
    return one === other;
  const [entries, others] = [Object.entries(one), new Map(Object.entries(other))];
  return (
    entries.length === others.size &&
    entries.every(([key, value]) => others.has(key) && isSame(value, others.get(key), depth - 1))
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function jsonObject(text: string, path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // refused below
  }
  throw new CheckpointError('CHECKPOINT_CONFIG', `${path}: expected a JSON object, found something else`);
}
