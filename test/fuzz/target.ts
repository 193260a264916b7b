/** What is fuzzed, and what has to hold for every input. */

import { FqvitError } from '../../src/errors.js';
import type { Dice } from './dice.js';

/** How messages name an input. */
export const FILE = 'fuzz.bin';

export interface Target {
  readonly name: string;
  /** One line for `--help`. */
  readonly about: string;
  /**
   * How many inputs `npm test` tries: about a second. They are also its share of `npm run fuzz --
   * all --inputs N`.
   */
  readonly inputs: number;
  /** Every code that a refusal may have. */
  readonly codes: readonly string[];
  /** What the message of a refusal begins with. */
  readonly place: RegExp;
  /** An input: the same decisions make the same bytes. */
  make(dice: Dice): Uint8Array | Promise<Uint8Array>;
  /**
   * Gives the input to the library.
   *
   * @returns how it was refused, where that is no exception
   * @throws FqvitError for an input that is refused, {@link Fault} where something does not hold
   */
  check(input: Uint8Array): Promise<string | undefined>;
  /** Whether sound input still gives what it must, after inputs that were refused. @throws Fault */
  control?(): Promise<void>;
}

/** Something that has to hold and does not. */
export class Fault extends Error {
  override name = 'Fault';
}

/** How one input ended. */
export type Outcome =
  | { readonly code: string; readonly finding?: undefined }
  | { readonly finding: Finding; readonly code?: undefined };

export interface Finding {
  /** The same for inputs that show the same fault. */
  readonly key: string;
  readonly detail: string;
}

export const ACCEPTED = 'accepted';

/** One line without what a terminal would obey. */
const LINE = /^[^\p{Cc}\p{Cf}\u2028\u2029]{1,4000}$/u;

/** Gives one input to a target. */
export async function attempt(target: Target, input: Uint8Array): Promise<Outcome> {
  try {
    return { code: (await target.check(input)) ?? ACCEPTED };
  } catch (error) {
    try {
      return { code: refusalCode(target, error) };
    } catch (fault) {
      return { finding: findingOf(fault) };
    }
  }
}

/** Whether sound input still gives what it must. */
export async function attemptControl(target: Target): Promise<Finding | undefined> {
  try {
    await target.control?.();
    return undefined;
  } catch (error) {
    return findingOf(error);
  }
}

function refusalCode({ codes, place }: Target, error: unknown): string {
  if (!(error instanceof FqvitError)) throw error;
  const { code, message } = error;
  if (!codes.includes(code))
    throw new Fault(`code that is not documented: ${code}: ${message}`, { cause: error });
  if (!LINE.test(message)) throw new Fault(`message of more than a line: ${JSON.stringify(message)}`);
  if (!place.test(message)) throw new Fault(`message without the place: ${message}`);
  return code;
}

function findingOf(error: unknown): Finding {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  // Numbers and quoted parts depend on the input.
  const key = `${name}: ${message}`.replace(/"[^"]*"/g, '""').replace(/\d+/g, '0');
  return { key: key.slice(0, 120), detail: stack ?? `${name}: ${message}` };
}

/** @throws Fault unless `holds` */
export function expectThat(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Fault(message);
}

export function same(one: ArrayLike<number>, other: ArrayLike<number>): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) if (!Object.is(one[i], other[i])) return false;
  return true;
}
