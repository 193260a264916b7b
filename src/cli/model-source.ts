import { RuntimeError } from '../errors.js';
import { BUNDLED_MODELS, findBundled, isBundledName } from '../model/bundled.js';
import type { LoadOptions, Model } from '../model/model.js';
import { readModel } from '../model/source.js';
import { folderHint, hubSource } from '../model/source-node.js';
import { expectFile } from '../platform/files.js';
import type { NamedBytes } from '../platform/read-options.js';
import { sha256 } from '../platform/sha256.js';
import type { Pool, PoolInfo } from '../pool/pool.js';
import { nearest } from './nearest.js';
import { downloadProgress } from './progress.js';
import { warn } from './report.js';

/**
 * The source of a model: for the name of a bundled model the path of its file, otherwise unchanged.
 * A file with such a name comes first, with a warning.
 *
 * @throws RuntimeError `SOURCE` if the package lacks the model
 */
export function modelPath(source: string): string {
  const bundled = findBundled(source);
  if (bundled === undefined && isBundledName(source)) {
    warn(`${source} is a file in the current folder: it is used instead of the bundled model`);
  }
  return bundled ?? source;
}

function withBundledName(error: unknown, source: string): unknown {
  const name = nearest(source, BUNDLED_MODELS);
  if (!(error instanceof RuntimeError) || name === undefined) return error;
  return new RuntimeError(error.code, `${error.message}; did you mean ${name}?`, { cause: error });
}

/** Options of both `load` and `createPool`. */
type Options = Pick<LoadOptions, 'onProgress' | 'onWarning'>;

/** Like `load`, but shows the progress of a download. @throws like `load` */
export async function loadModel(source: string, threads: number): Promise<Model> {
  const { load } = await import('../index.js');
  return opened(source, (options) => load(source, { ...options, threads }));
}

/** Like `loadModel`, for a pool, with the SHA-256 of the checkpoint. */
export async function loadPool(
  source: string,
  workers: number | undefined,
  imageMemoryOf: (info: PoolInfo) => number,
): Promise<{ pool: Pool; sha256: string }> {
  const { createPoolOf } = await import('../pool/pool.js');
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
