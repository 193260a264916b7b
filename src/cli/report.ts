import { FqvitError, UsageError } from '../errors.js';
import { withShownAddresses } from '../platform/address.js';
import { plainJson } from '../platform/plain.js';
import { plain } from './format.js';

/** What the process ends with. */
export const EXIT = {
  done: 0,
  badInput: 1,
  usage: 2,
  /** sysexits' EX_SOFTWARE. */
  bug: 70,
} as const;

/** A line on stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** The one document that `--json` promises. */
export function printJson(value: unknown): void {
  print(plainJson(JSON.stringify(value, null, 2)));
}

/** Prints a message to stderr on one line, whatever names it contains. */
export function note(message: string): void {
  process.stderr.write(`${plain(message)}\n`);
}

export function warn(message: string): void {
  note(`fqvit: warning: ${message}`);
}

/** Says what went wrong, and gives the exit code. */
export function reportError(error: unknown, help = 'fqvit --help'): number {
  if (error instanceof FqvitError) {
    note(`fqvit: ${error.code}: ${error.message}`);
    if (process.env.DEBUG) noteStack(error);
    if (!(error instanceof UsageError)) return EXIT.badInput;
    note(`Try \`${help}\`.`);
    return EXIT.usage;
  }
  if (error instanceof RangeError && /out of memory|allocation failed/i.test(error.message)) {
    note(`fqvit: MEMORY: expected more memory than this process may have, found ${error.message}`);
    return EXIT.badInput;
  }
  note(`fqvit: BUG: ${withShownAddresses(error instanceof Error ? error.message : String(error))}`);
  const debug = 'run it again with DEBUG=1 in the environment for the stack';
  note(`This is a fault in fqvit: please report it${process.env.DEBUG ? ':' : ` (${debug}).`}`);
  if (process.env.DEBUG) noteStack(error);
  return EXIT.bug;
}

/** A line for the error, one for each frame, and the same for what has caused it. */
function noteStack(error: unknown): void {
  note(withShownAddresses(String(error)));
  if (!(error instanceof Error)) return;
  for (const frame of error.stack?.match(/^ +at .*$/gm) ?? []) note(frame);
  if (error.cause === undefined) return;
  note('caused by');
  noteStack(error.cause);
}
