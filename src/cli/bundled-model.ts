import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RuntimeError } from '../errors.js';

/** The models that come with the package. */
export const BUNDLED_MODELS = ['swin_cifar10', 'deit_cifar10'] as const;
/** The one that classifies where no model is named: the more accurate. */
export const DEFAULT_MODEL = BUNDLED_MODELS[0];

/**
 * Where the model is that a command was given: a path or a URL as it stands, the name of a bundled model as its file's path.
 *
 * @throws RuntimeError `SOURCE` where the package comes without it
 */
export function modelPath(source: string): string {
  if (!isBundled(source)) return source;
  const path = fileURLToPath(new URL(`../../models/${source}.safetensors`, import.meta.url));
  if (existsSync(path)) return path;
  throw new RuntimeError(
    'SOURCE',
    `${path}: expected the bundled model, found nothing of that name; pass --model`,
  );
}

/** Whether this names a bundled model: a file of that name comes first. */
export function isBundled(source: string): boolean {
  return BUNDLED_MODELS.some((name) => name === source) && !existsSync(source);
}
