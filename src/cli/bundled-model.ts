import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RuntimeError } from '../errors.js';

/** How results name the model that comes with the package. */
export const BUNDLED_MODEL = 'deit_cifar10';

/** @throws RuntimeError `SOURCE` where the package comes without it */
export function bundledModelPath(): string {
  const path = fileURLToPath(new URL(`../../models/${BUNDLED_MODEL}.safetensors`, import.meta.url));
  if (existsSync(path)) return path;
  throw new RuntimeError(
    'SOURCE',
    `${path}: expected the bundled model, found nothing of that name; pass --model`,
  );
}
