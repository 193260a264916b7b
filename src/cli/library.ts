import { UsageError } from '../errors.js';

/**
 * A part of fqvit over packages that do not come along, since few need them.
 *
 * @param packages what has to be installed
 * @throws UsageError `LIBRARY` where one of them is missing
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
