import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { RuntimeError } from '../errors.js';
import { deserializeError } from '../pool/messages.js';
import { ANSWER, type Measurement, median } from './measure.js';

/** A contender's measurements, one per round. */
export interface Turns<T> {
  readonly contender: T;
  readonly rounds: readonly Measurement[];
}

/** A value over the rounds: the median, and the least and the greatest. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

/** How many times as fast `one` is as `first`: the ratios of each round, in which both ran. */
export function speedUp(first: Turns<unknown>, one: Turns<unknown>): Spread {
  const ratios = one.rounds.map(({ medianMs }, i) => first.rounds[i]!.medianMs / medianMs);
  return { median: median(ratios), least: Math.min(...ratios), greatest: Math.max(...ratios) };
}

/**
 * Measures every contender once per round, back and forth, so that other load on the machine meets
 * all of them alike.
 *
 * @param one measures a contender, in a process of its own
 */
export async function takeTurns<T>(
  contenders: readonly T[],
  rounds: number,
  one: (contender: T) => Promise<Measurement>,
  onProgress?: (done: number, total: number) => void,
): Promise<Turns<T>[]> {
  const all = contenders.map((contender) => ({ contender, rounds: [] as Measurement[] }));
  let done = 0;
  for (let round = 0; round < rounds; round++) {
    for (const turns of round % 2 === 0 ? all : [...all].reverse()) {
      turns.rounds.push(await one(turns.contender));
      onProgress?.(++done, rounds * all.length);
    }
  }
  return all;
}

/**
 * The digest that all answers share.
 *
 * @throws RuntimeError `TIER` where they differ
 */
export function commonDigest<T>(turns: readonly Turns<T>[], nameOf: (contender: T) => string): string {
  const names = new Map<string, Set<string>>();
  for (const { contender, rounds } of turns) {
    for (const digest of rounds.flatMap(({ digests }) => digests)) {
      names.set(digest, (names.get(digest) ?? new Set()).add(nameOf(contender)));
    }
  }
  const [[digest] = [''], ...others] = names;
  if (others.length === 0) return digest;
  const found = [...names].map(([one, by]) => `${one.slice(0, 8)}… (${[...by].join(', ')})`);
  throw new RuntimeError(
    'TIER',
    `codes: expected the same from every tier and number of threads, found ${found.join(' and ')}`,
  );
}

/**
 * Runs a script in a fresh process of this engine, which `answerWith` ends. It ends with this
 * process at the latest.
 *
 * @param argument passed as JSON
 * @throws what the script was refused with; RuntimeError `BENCH` if it ends without an answer
 */
export function inFreshProcess(script: URL, argument: unknown): Promise<Measurement> {
  const flags = 'Deno' in globalThis ? ['run', '-A', '--no-prompt', '--no-lock'] : process.execArgv;
  const args = [...flags, fileURLToPath(script), JSON.stringify(argument)];
  return new Promise((resolve, reject) => {
    const child = execFile(process.execPath, args, (error, stdout, stderr) => {
      process.off('exit', end);
      if (error !== null) return reject(noAnswer(error, stderr));
      const [, text] = stdout.split(ANSWER);
      if (text === undefined) return reject(noAnswer(undefined, stderr));
      const answer = JSON.parse(text.split('\n')[0]!);
      if ('error' in answer) reject(deserializeError(answer.error));
      else resolve(answer);
    });
    const end = () => child.kill('SIGKILL');
    process.on('exit', end);
  });
}

function noAnswer(
  cause: (Error & { code?: unknown; signal?: NodeJS.Signals | null }) | undefined,
  stderr: string,
): RuntimeError {
  const end = cause?.signal ?? `exit code ${cause?.code ?? 0}`;
  const [reason] = /^(FATAL ERROR|\w*Error\b|error:).*$/m.exec(stripVTControlCharacters(stderr)) ?? [];
  const found = reason === undefined ? end : `${end}, ${reason}`;
  return new RuntimeError(
    'BENCH',
    `${process.execPath}: expected a measurement from a new process, found ${found}`,
    { cause },
  );
}
