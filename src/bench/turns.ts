import { execFile } from 'node:child_process';
import { type Measurement, median } from './measure.js';

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

export function spread(values: readonly number[]): Spread {
  return { median: median(values), least: Math.min(...values), greatest: Math.max(...values) };
}

/** How many times as fast `one` is as `first`: the ratios of each round, in which both ran. */
export function speedUp(first: Turns<unknown>, one: Turns<unknown>): Spread {
  return spread(one.rounds.map(({ medianMs }, i) => first.rounds[i]!.medianMs / medianMs));
}

/**
 * Measures every contender once per round, in an order that turns round each time: what else the
 * machine does then falls on all alike.
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
  for (let round = 0; round < rounds; round++) {
    for (const turns of round % 2 === 0 ? all : [...all].reverse()) {
      turns.rounds.push(await one(turns.contender));
      onProgress?.(
        all.reduce((sum, { rounds: done }) => sum + done.length, 0),
        rounds * all.length,
      );
    }
  }
  return all;
}

/**
 * Runs a script in a fresh process of this engine and reads the JSON document that it prints.
 *
 * @param argument passed as JSON
 */
export function inFreshProcess(
  script: string,
  argument: unknown,
  signal?: AbortSignal,
): Promise<Measurement> {
  const run = 'Deno' in globalThis ? ['run', '-A', '--no-prompt', script] : [...process.execArgv, script];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      [...run, JSON.stringify(argument)],
      { signal, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        if (error === null) resolve(JSON.parse(stdout));
        else reject(new Error(`${error.message}\n${stderr}`, { cause: error }));
      },
    );
  });
}
