import { UsageError } from '../errors.js';

/**
 * Loads a part of fqvit that needs packages which npm does not install, since few users need them.
 *
 * @param packages the packages to install
 * @throws UsageError `LIBRARY` if one is missing
 */
export async function withLibraries<T>(
  command: string,
  packages: readonly string[],
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const missing = packages.find((name) => message.includes(`'${name}'`));
    if (code !== 'ERR_MODULE_NOT_FOUND' || missing === undefined) throw cause;
    throw new UsageError(
      'LIBRARY',
      `${command}: expected the package ${missing}, found none; \`npm install ${packages.join(' ')}\``,
      { cause },
    );
  }
}
