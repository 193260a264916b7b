import { hubUrl, parseHubSource } from '../hub/id.js';
import { readBytes } from '../platform/bytes.js';
import type { ModelReadOptions, NamedBytes } from '../platform/read-options.js';

/** `readModel` without files: a model on the hub is one request, without a cache. */
export async function readNamedModel(source: string, options: ModelReadOptions): Promise<NamedBytes> {
  const hub = parseHubSource(source);
  return readBytes(hub === undefined ? source : hubUrl(hub), options);
}
