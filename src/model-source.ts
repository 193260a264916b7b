import { readNamedModel } from '#model-source';
import { type ByteSource, readBytes } from './platform/bytes.js';
import type { NamedBytes, ReadOptions } from './platform/read-options.js';

export interface ModelReadOptions extends ReadOptions {
  /** What is worth knowing though the model can be had. */
  onWarning?: ((message: string) => void) | undefined;
}

/**
 * Reads the model that `load` was given: what `readBytes` takes, the name of a bundled model, or a model on the hub.
 *
 * @throws RuntimeError `SOURCE`; HubError; the reason of `signal`
 */
export async function readModel(source: ByteSource, options: ModelReadOptions): Promise<NamedBytes> {
  return typeof source === 'string' ? readNamedModel(source, options) : readBytes(source, options);
}
