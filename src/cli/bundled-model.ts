import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RuntimeError } from '../errors.js';
import { warn } from './report.js';

/** The models that come with the package. */
export const BUNDLED_MODELS = ['deit_cifar10', 'swin_cifar10'] as const;
export type BundledModel = (typeof BUNDLED_MODELS)[number];
/** The one that classifies where no model is named: the more accurate. */
export const DEFAULT_MODEL: BundledModel = BUNDLED_MODELS[0];

/**
 * Where the model is that a command was given: a path or a URL as it stands, the name of a bundled model as its file's path. A file of
 * such a name comes first, with a warning.
 *
 * @throws RuntimeError `SOURCE` where the package comes without it
 */
export function modelPath(source: string): string {
  const bundled = BUNDLED_MODELS.find((name) => name === source);
  if (bundled === undefined) return source;
  if (!statSync(source, { throwIfNoEntry: false })?.isFile()) return bundledPath(bundled);
  warn(`${source} is taken from the current folder, not the bundled model of that name`);
  return source;
}

/** @throws RuntimeError `SOURCE` where the package comes without it */
export function bundledPath(name: BundledModel): string {
  const path = fileURLToPath(new URL(`../../models/${name}.safetensors`, import.meta.url));
  if (existsSync(path)) return path;
  throw new RuntimeError(
    'SOURCE',
    `${path}: expected the bundled model, found nothing of that name; install fqvit again, or name a file`,
  );
}
