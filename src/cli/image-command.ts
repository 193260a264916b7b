/** What the commands that run a model on photos have in common. */

import type { Model } from '../classify.js';
import { bundledPath, DEFAULT_MODEL } from '../models/bundled.js';
import { loadModel, modelPath } from './model-source.js';
import { threadsOption } from './values.js';

export const IMAGE_ARGUMENT = {
  type: 'positional',
  required: true,
  description: 'JPEG, PNG or WebP: a file or a URL; several, one after the other',
} as const;

interface OpenModel {
  readonly model: Model;
  /** How results name it. */
  readonly source: string;
  readonly isBundled: boolean;
}

/**
 * Loads the model that `--model` names, or the default one.
 *
 * @throws UsageError `OPTION`; RuntimeError `SOURCE`; as `load`
 */
export async function openModel(named: string | undefined, threads: string): Promise<OpenModel> {
  const threadCount = threadsOption(threads);
  const path = named === undefined ? bundledPath(DEFAULT_MODEL) : modelPath(named);
  const model = await loadModel(path, threadCount);
  return { model, source: named ?? DEFAULT_MODEL, isBundled: path !== named };
}
