import { hubUrl, parseHubSource } from './hub/id.js';
import { type ByteSource, type NamedBytes, type ReadOptions, readBytes } from './platform/bytes.js';
import { isNodeLike } from './platform/node-like.js';

export interface ModelReadOptions extends ReadOptions {
  /** What is worth knowing though the model can be had. */
  onWarning?: ((message: string) => void) | undefined;
}

/**
 * Reads the model that `load` was given: what `readBytes` takes, the name of a bundled model, or a model on the hub, which where
 * there are no files is one request without a cache.
 *
 * @throws RuntimeError `SOURCE`; HubError; the reason of `signal`
 */
export async function readModel(source: ByteSource, options: ModelReadOptions): Promise<NamedBytes> {
  if (typeof source !== 'string') return readBytes(source, options);
  if (isNodeLike()) return (await import('./model-source-node.js')).readNamedModel(source, options);
  const hub = parseHubSource(source);
  return readBytes(hub === undefined ? source : hubUrl(hub), options);
}
