/** What the commands that run a model share. */

import { ImageError, RuntimeError, UsageError } from '../errors.js';
import { BUNDLED_MODELS, bundledPath, DEFAULT_MODEL } from '../model/bundled.js';
import type { Model } from '../model/model.js';
import type { Prediction } from '../model/predict.js';
import { shownSource } from '../platform/address.js';
import { availableMemory } from '../platform/available-memory.js';
import type { Pool, PoolCallOptions, PoolInfo } from '../pool/index.js';
import { type MemoryShares, memoryShares } from '../pool/memory-shares.js';
import { MAX_THREADS } from '../runtime/threads.js';
import { plural } from './format.js';
import { loadModel, loadPool, modelPath, readNamed } from './model-source.js';
import { note, warn } from './report.js';
import { integerOption, optional, sizeOption, threadsOption } from './values.js';

/** The option of commands that classify. */
export const MODEL_OPTION = {
  type: 'string',
  valueHint: 'M',
  description: `Integer checkpoint: a file, a URL, a Hugging Face id or a bundled model of ten classes: ${BUNDLED_MODELS.join(' or ')} (default: ${DEFAULT_MODEL})`,
} as const;

export const MAX_MEMORY_OPTION = {
  type: 'string',
  valueHint: 'SIZE',
  description: 'Memory for the process, such as 1500MiB or 2GiB (default: that of its container or machine)',
} as const;

/** The option of commands with a pool. */
export const WORKERS_OPTION = {
  type: 'string',
  valueHint: 'N',
  description: 'Images at a time, one per thread (default: the number of cores)',
} as const;

/** Time for an image whatever the model. */
const LEAST_SECONDS = 60;
/** Multiply-accumulates per second: a tenth of what a core does. */
const SLOW_MACS = 4e9;

/** The option of commands that go on after a slow image. */
export const IMAGE_TIMEOUT_OPTION = {
  type: 'string',
  valueHint: 'SECONDS',
  description: `Time limit for an image (default: ${LEAST_SECONDS}, plus 1 per ${SLOW_MACS / 1e9} billion multiply-accumulates of the model)`,
} as const;

export const IMAGE_ARGUMENT = {
  type: 'positional',
  required: true,
  description: 'JPEG, PNG or WebP: one or more files or URLs',
} as const;

interface OpenedModel {
  /** The name of the model in results. */
  readonly source: string;
  readonly isBundled: boolean;
}

/**
 * Loads the model that `--model` names, or the default one.
 *
 * @throws UsageError `OPTION`; RuntimeError `SOURCE`; like `load`
 */
export async function openModel(
  named: string | undefined,
  threads: string,
): Promise<OpenedModel & { readonly model: Model }> {
  const threadCount = threadsOption(threads);
  const { path, ...opened } = pathOf(named);
  return { ...opened, model: await loadModel(path, threadCount) };
}

/** Reads the named checkpoint, or the default one. @throws RuntimeError `SOURCE`; like `load` */
export async function readCheckpoint(
  named: string | undefined,
): Promise<OpenedModel & { readonly bytes: Uint8Array }> {
  const { path, ...opened } = pathOf(named);
  const { bytes } = await readNamed(path);
  return { ...opened, bytes };
}

/** Like `openModel`, for a pool, with the SHA-256 of the checkpoint and the use of the memory. */
export async function openPool(
  named: string | undefined,
  workers: string | undefined,
  maxMemory: string | undefined,
): Promise<OpenedModel & { readonly pool: Pool; readonly sha256: string; readonly memory: MemoryShares }> {
  const count = optional(workers, (text) => integerOption('workers', text, 1, MAX_THREADS));
  const size = optional(maxMemory, (text) => sizeOption('max-memory', text));
  const { path, ...opened } = pathOf(named);
  let memory: MemoryShares | undefined;
  const loaded = await loadPool(path, count, (info) => {
    memory = sharesOf(size, info);
    return memory.images;
  });
  return { ...opened, ...loaded, memory: memory! };
}

/** @throws UsageError `OPTION` */
function sharesOf(size: number | undefined, info: PoolInfo): MemoryShares {
  const available = availableMemory();
  const shares = memoryShares(size ?? available, info);
  const mib = (bytes: number) =>
    bytes < 2 ** 20 ? plural(bytes, 'byte') : `${Math.ceil(bytes / 2 ** 20)} MiB`;
  const { least } = shares;
  if (size !== undefined && size < least) {
    const found = `${mib(size)}`;
    throw new UsageError(
      'OPTION',
      `option --max-memory: expected at least ${mib(least)} for this model and ${plural(info.workers, 'worker')}, found ${found}`,
    );
  }
  if (size !== undefined && size > available) {
    warn(`--max-memory is ${mib(size)}, but this machine or container has ${mib(available)}`);
  }
  if (size === undefined && available < least) {
    warn(
      `this machine or container has ${mib(available)} of memory, but this model with ${plural(info.workers, 'worker')} needs ${mib(least)}`,
    );
  }
  return shares;
}

/** Seconds for an image; undefined if the model decides. @throws UsageError `OPTION` */
export function imageTimeout(text: string | undefined): number | undefined {
  return optional(text, (given) => integerOption('image-timeout', given, 1, 86_400));
}

/** Like `Pool.classify`, for one image in limited time. @throws also ImageError `IMAGE_TIME` */
export function classifyInTime(pool: Pool, seconds = Math.floor(LEAST_SECONDS + pool.info.macs / SLOW_MACS)) {
  const limitMs = 1000 * seconds;
  return async (file: string, options: PoolCallOptions & { top?: number }): Promise<Prediction[]> => {
    try {
      return await pool.classify(file, { ...options, limitMs });
    } catch (error) {
      if (!(error instanceof RuntimeError && error.code === 'POOL_LIMIT')) throw error;
      const message = `${shownSource(file)}: expected an answer within ${seconds} s, found none`;
      throw new ImageError('IMAGE_TIME', message, { cause: error });
    }
  };
}

function pathOf(named: string | undefined): OpenedModel & { readonly path: string } {
  const path = named === undefined ? bundledPath(DEFAULT_MODEL) : modelPath(named);
  return { path, source: shownSource(named ?? DEFAULT_MODEL), isBundled: path !== named };
}

/** Warns of a bundled model, which takes every photo for one of its classes. */
export function noteBundled(name: string, labels: readonly string[]): void {
  note(
    `fqvit: ${name} knows only ${labels.length} classes (${labels[0]} … ${labels.at(-1)}); ` +
      'for 1000, run `fqvit quantize facebook/deit-tiny-patch16-224 -o m.safetensors`',
  );
}
