import { existsSync } from 'node:fs';
import { HubError } from './errors.js';
import { type HubSource, parseHubSource } from './hub/id.js';
import type { ModelReadOptions } from './model-source.js';
import { findBundled } from './models/bundled.js';
import { readBytes } from './platform/bytes.js';
import type { NamedBytes } from './platform/read-options.js';

/** As `readModel`, where there are files: one that is there comes before what its name could mean, and the hub has a cache. */
export async function readNamedModel(source: string, options: ModelReadOptions): Promise<NamedBytes> {
  const hub = hubSource(source);
  if (hub === undefined) return readBytes(findBundled(source) ?? source, options);
  const { fetchModelFile } = await import('./hub/model-file.js');
  const { path, away } = await fetchModelFile(hub, options).catch((error) => {
    throw noPathEither(error, source);
  });
  if (away) options.onWarning?.(`${away.message}: the copy in the cache is taken`);
  return { bytes: (await readBytes(path, options)).bytes, name: source };
}

/** Says of a name that the hub does not give that it is no path either, as which it may have been meant. */
export function noPathEither(error: unknown, source: string): unknown {
  const isMissing = error instanceof HubError && /^HUB_(NOT_FOUND|NETWORK|OFFLINE)$/.test(error.code);
  if (!isMissing || /^\w+:\/\/|@/.test(source)) return error;
  return new HubError(error.code, `${error.message}; nor is there a file or folder ${source}`, {
    cause: error,
  });
}

/** What a text means on the hub; undefined for a path that exists, and for what may be one. @throws HubError `HUB_ID` */
export function hubSource(text: string): HubSource | undefined {
  return existsSync(text) ? undefined : parseHubSource(text);
}
