import { readdir } from 'node:fs/promises';
import { quantizeCommand } from '../checkpoint/quantize-command.js';
import type { LoadOptions, Model } from '../classify.js';
import { RuntimeError } from '../errors.js';
import { readModel } from '../model-source.js';
import { hubSource } from '../model-source-node.js';
import { BUNDLED_MODELS, findBundled, isBundledName } from '../models/bundled.js';
import type { NamedBytes } from '../platform/read-options.js';
import { sha256 } from '../platform/sha256.js';
import type { Pool, PoolInfo } from '../pool/index.js';
import { expectFile } from './files.js';
import { WEIGHT_FILE } from './float-source.js';
import { nearest } from './nearest.js';
import { downloadProgress } from './progress.js';
import { warn } from './report.js';

/**
 * Where the model is that a command was given: the name of a bundled model as its file's path, anything else as it stands. A
 * file of such a name comes first, with a warning.
 *
 * @throws RuntimeError `SOURCE` where the package comes without it
 */
export function modelPath(source: string): string {
  const bundled = findBundled(source);
  if (bundled === undefined && isBundledName(source)) {
    warn(`${source} is taken from the current folder, not the bundled model of that name`);
  }
  return bundled ?? source;
}

function withBundledName(error: unknown, source: string): unknown {
  const name = nearest(source, BUNDLED_MODELS);
  if (!(error instanceof RuntimeError) || name === undefined) return error;
  return new RuntimeError(error.code, `${error.message}; did you mean ${name}?`, { cause: error });
}

/** What both `load` and `createPool` take. */
type Options = Pick<LoadOptions, 'onProgress' | 'onWarning'>;

/** `load` of a file, a URL or a model on the hub, which is downloaded with progress. @throws as `load` */
export async function loadModel(source: string, threads: number): Promise<Model> {
  const { load } = await import('../index.js');
  return opened(source, (options) => load(source, { ...options, threads }));
}

/** As `loadModel`, by `createPool`; and the digest of the checkpoint. */
export async function loadPool(
  source: string,
  workers: number | undefined,
  imageMemoryOf: (info: PoolInfo) => number,
): Promise<{ pool: Pool; sha256: string }> {
  const { createPoolOf } = await import('../pool/index.js');
  const read = await readNamed(source);
  const pool = await createPoolOf(read, workers === undefined ? {} : { workers }, imageMemoryOf);
  return { pool, sha256: await sha256(read.bytes) };
}

/** The bytes of a checkpoint: a file, a URL or a model on the hub. @throws like `load` */
export function readNamed(source: string): Promise<NamedBytes> {
  return opened(source, (options) => readModel(source, options));
}

async function opened<T>(source: string, open: (options: Options) => Promise<T>): Promise<T> {
  if (hubSource(source) === undefined) {
    await expectFile(source, await folderHint(source)).catch((error) => {
      throw withBundledName(error, source);
    });
  }
  const progress = downloadProgress(source);
  try {
    return await open({ onProgress: (...done) => progress.update(...done), onWarning: warn });
  } finally {
    progress.stop();
  }
}

/** What to do with a folder in place of a checkpoint. */
async function folderHint(folder: string): Promise<string | undefined> {
  const names: readonly string[] = await readdir(folder).catch(() => []);
  const command = quantizeCommand(`${folder}/`);
  if (names.includes('config.json')) return `this is a float model: ${command}`;
  if (!names.some((name) => WEIGHT_FILE.test(name))) return undefined;
  return `name the checkpoint in it; if it is a float model, ${command}`;
}
