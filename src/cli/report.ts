import { FqvitError, UsageError } from '../errors.js';
import { withShownAddresses } from '../platform/address.js';
import { escapeJsonControls } from '../text/escape-controls.js';
import { escapeControls } from './format.js';

/** Exit codes. */
export const EXIT = {
  done: 0,
  badInput: 1,
  usage: 2,
  /** `EX_SOFTWARE` of sysexits.h. */
  bug: 70,
} as const;

/** Prints a line to stdout. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints the document of `--json`. */
export function printJson(value: unknown): void {
  print(escapeJsonControls(JSON.stringify(value, null, 2)));
}

/** Prints a message to stderr on one line, whatever names it contains. */
export function note(message: string): void {
  process.stderr.write(`${escapeControls(message)}\n`);
}

export function warn(message: string): void {
  note(`fqvit: warning: ${message}`);
}

/** Prints an error. @returns the exit code */
export function reportError(error: unknown, help = 'fqvit --help'): number {
  if (error instanceof FqvitError) {
    note(`fqvit: ${error.code}: ${error.message}`);
    if (process.env.DEBUG) noteStack(error);
    if (!(error instanceof UsageError)) return EXIT.badInput;
    note(`Try \`${help}\`.`);
    return EXIT.usage;
  }
  if (error instanceof RangeError && /out of memory|allocation failed/i.test(error.message)) {
    note(`fqvit: MEMORY: expected more memory than this process has, found ${error.message}`);
    return EXIT.badInput;
  }
  note(`fqvit: BUG: ${withShownAddresses(error instanceof Error ? error.message : String(error))}`);
  note('This is a bug in fqvit. Please report it with the stack, which DEBUG=1 in the environment prints.');
  if (process.env.DEBUG) noteStack(error);
  return EXIT.bug;
}

/** Prints an error, its frames and its cause, a line each. */
function noteStack(error: unknown): void {
  note(withShownAddresses(String(error)));
  if (!(error instanceof Error)) return;
  for (const frame of error.stack?.match(/^ +at .*$/gm) ?? []) note(frame);
  if (error.cause === undefined) return;
  note('caused by');
  noteStack(error.cause);
}
