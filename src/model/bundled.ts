import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RuntimeError } from '../errors.js';

/** The models that come with the package. */
export const BUNDLED_MODELS = ['deit_cifar10', 'swin_cifar10'] as const;
export type BundledModel = (typeof BUNDLED_MODELS)[number];
/** The default model: the more accurate of the two. */
export const DEFAULT_MODEL: BundledModel = BUNDLED_MODELS[0];

export function isBundledName(name: string): name is BundledModel {
  return (BUNDLED_MODELS as readonly string[]).includes(name);
}

/**
 * The file of a bundled model; undefined for any other name, and if the current folder has a file
 * of that name, which takes precedence.
 *
 * @throws RuntimeError `SOURCE` if the package lacks it
 */
export function findBundled(name: string): string | undefined {
  if (!isBundledName(name) || isFile(name)) return undefined;
  return bundledPath(name);
}

/** A path that cannot be read, such as a link to itself, is not a file. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** @throws RuntimeError `SOURCE` if the package lacks it */
export function bundledPath(name: BundledModel): string {
  const path = fileURLToPath(new URL(`../../models/${name}.safetensors`, import.meta.url));
  if (existsSync(path)) return path;
  throw new RuntimeError(
    'SOURCE',
    `${path}: expected the bundled model, found nothing of that name; install fqvit again, or name a file`,
  );
}
