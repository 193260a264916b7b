import { FqvitError, UsageError } from '../errors.js';
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
  print(JSON.stringify(value, null, 2));
}

/** A message on stderr. */
export function note(message: string): void {
  process.stderr.write(`${message.split('\n').map(plain).join('\n')}\n`);
}

export function warn(message: string): void {
  note(`fqvit: warning: ${message}`);
}

/** Says what went wrong, and gives the exit code. */
export function reportError(error: unknown, help = 'fqvit --help'): number {
  if (error instanceof FqvitError) {
    note(`fqvit: ${error.code}: ${error.message}`);
    if (process.env.DEBUG) note(stack(error));
    if (!(error instanceof UsageError)) return EXIT.badInput;
    note(`Try \`${help}\`.`);
    return EXIT.usage;
  }
  if (error instanceof RangeError && /out of memory|allocation failed/i.test(error.message)) {
    note(`fqvit: MEMORY: expected more memory than this process may have, found ${error.message}`);
    return EXIT.badInput;
  }
  const debug = process.env.DEBUG
    ? stack(error)
    : 'run it again with DEBUG=1 in the environment for the stack';
  note(`fqvit: BUG: ${error instanceof Error ? error.message : String(error)}`);
  note(`This is a fault in fqvit: please report it (${debug}).`);
  return EXIT.bug;
}

function stack(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\ncaused by ${stack(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
