import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { HubError, RuntimeError } from '../errors.js';
import { type HubSource, parseHubSource } from '../hub/id.js';
import { readBytes } from '../platform/bytes.js';
import type { ModelReadOptions, NamedBytes } from '../platform/read-options.js';
import { quantizeCommand } from '../text/quantize-command.js';
import { findBundled } from './bundled.js';

/** Names of files with weights. */
export const WEIGHT_FILE = /\.(safetensors|onnx|pth|pt|bin|ckpt)$/;

/**
 * `readModel` with files: an existing file takes precedence over other meanings of its name, and
 * the hub has a cache.
 */
export async function readNamedModel(source: string, options: ModelReadOptions): Promise<NamedBytes> {
  const hub = hubSource(source);
  if (hub === undefined) {
    return readBytes(findBundled(source) ?? source, options).catch(async (error) => {
      throw withHint(error, await folderHint(source));
    });
  }
  const { fetchModelFile } = await import('../hub/model-file.js');
  const { path, away } = await fetchModelFile(hub, options).catch((error) => {
    throw noPathEither(error, source);
  });
  if (away) options.onWarning?.(`${away.message}: the copy in the cache is taken`);
  return { bytes: (await readBytes(path, options)).bytes, name: source };
}

/** What to do with a folder in place of a checkpoint; undefined if it holds no model. */
export async function folderHint(folder: string): Promise<string | undefined> {
  const names: readonly string[] = await readdir(folder).catch(() => []);
  const command = quantizeCommand(folder.replace(/\/*$/, '/'));
  if (names.includes('config.json')) return `this is a float model: ${command}`;
  if (!names.some((name) => WEIGHT_FILE.test(name))) return undefined;
  return `name the checkpoint in it; if it is a float model, ${command}`;
}

function withHint(error: unknown, hint: string | undefined): unknown {
  if (!(error instanceof RuntimeError) || hint === undefined) return error;
  return new RuntimeError(error.code, `${error.message}; ${hint}`, { cause: error });
}

/** Adds to a hub error that no file has this name either: the caller may have meant a path. */
export function noPathEither(error: unknown, source: string): unknown {
  const isMissing = error instanceof HubError && /^HUB_(NOT_FOUND|NETWORK|OFFLINE)$/.test(error.code);
  if (!isMissing || /^\w+:\/\/|@/.test(source)) return error;
  return new HubError(error.code, `${error.message}; nor is there a file or folder ${source}`, {
    cause: error,
  });
}

/**
 * What a text means on the hub; undefined for an existing path, and for a text that may be one.
 *
 * @throws HubError `HUB_ID`
 */
export function hubSource(text: string): HubSource | undefined {
  return existsSync(text) ? undefined : parseHubSource(text);
}
