import { FqvitError } from '../errors.js';
import { shownSource } from '../platform/address.js';
import { expectFile } from '../platform/files.js';
import { reportError } from './report.js';

export interface TimedResult<Result> {
  /** A path, or a URL as `shownSource` prints it. */
  readonly file: string;
  readonly result: Result;
  /** Time to read, decode and run. */
  readonly ms: number;
}

/**
 * Runs on each image and shows each result at once. It reports an unreadable image and goes on.
 */
export async function eachImage<Result>(
  files: readonly string[],
  run: (file: string) => Promise<Result>,
  show: (one: TimedResult<Result>, index: number) => void,
): Promise<TimedResult<Result>[]> {
  const results: TimedResult<Result>[] = [];
  for (const file of files) {
    try {
      await expectFile(file, 'name the photos in it, or run `fqvit batch`');
      const start = performance.now();
      const result = await run(file);
      const ms = Math.round((performance.now() - start) * 100) / 100;
      results.push({ file: shownSource(file), result, ms });
    } catch (error) {
      if (!(error instanceof FqvitError)) throw error;
      reportError(error);
      continue;
    }
    show(results.at(-1)!, results.length - 1);
  }
  return results;
}
