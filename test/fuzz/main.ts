/**
 * `npm run fuzz`: runs targets for a time or a number of inputs, minimises and writes what it
 * finds, and prints the totals.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Dice } from './dice.js';
import { Ended, Guarded, type Limits } from './guarded.js';
import { minimised } from './minimise.js';
import { ACCEPTED, type Finding, type Target } from './target.js';
import { TARGETS } from './targets/index.js';
import type { OneReport } from './worker.js';

const FOLDER = fileURLToPath(new URL('../../.fuzz/', import.meta.url));

const HELP = `Usage: npm run fuzz -- TARGET [OPTIONS]

Targets:
${TARGETS.map(({ name, about }) => `  ${name.padEnd(20)}${about}`).join('\n')}
  all                 Each of them, one after another

Options:
  --seconds N         For so long, all targets together (default 60)
  --inputs N          So many inputs instead, all targets together
  --seed S            Which inputs (default 1): the same seed makes the same ones
  --from N            Index of the first input (default 0)
  --reproduce WHAT    One input: a file, or SEED:INDEX
  --limit-ms N        Longest time of one input (default 10000)
  --max-mb N          Most resident memory of the process (default 1500)

Exit code: 0 without a finding, 1 with one, 2 for a wrong call. Findings are written to .fuzz/TARGET/.
`;

interface Options extends Limits {
  readonly seed: number;
  readonly from: number;
  /** Of one target: it ends with whichever comes first. */
  readonly seconds: number;
  readonly inputs: number;
}

class Totals {
  readonly codes = new Map<string, number>();
  readonly files: string[] = [];
  slowest = { index: 0, ms: 0 };
  /** Workers that were started anew because memory had gathered up. */
  restarts = 0;
  seconds = 0;

  get inputs(): number {
    return [...this.codes.values()].reduce((sum, n) => sum + n, 0);
  }

  get accepted(): number {
    return this.codes.get(ACCEPTED) ?? 0;
  }

  count(code: string, n = 1): void {
    this.codes.set(code, (this.codes.get(code) ?? 0) + n);
  }
}

let isStopped = false;

/** @returns the exit code */
export async function main(args: string[]): Promise<number> {
  const { values, positionals } = parsed(args);
  if (values === undefined || values.help || positionals.length !== 1) {
    console.log(HELP);
    return values?.help ? 0 : 2;
  }
  const targets = TARGETS.filter(({ name }) => positionals[0] === 'all' || positionals[0] === name);
  if (targets.length === 0) {
    console.error(`fuzz: expected a target of the list, found ${positionals[0]}\n\n${HELP}`);
    return 2;
  }
  const numbers = ['seconds', 'inputs', 'seed', 'from', 'limit-ms', 'max-mb'] as const;
  const wrong = numbers.find((name) => !/^\d+$/.test(values[name] ?? '0'));
  if (wrong !== undefined) {
    console.error(`fuzz: --${wrong}: expected an integer, found ${values[wrong]}`);
    return 2;
  }
  const number = (name: (typeof numbers)[number], fallback: number) => Number(values[name] ?? fallback);
  const limits = { limitMs: number('limit-ms', 10_000), maxBytes: number('max-mb', 1500) * 2 ** 20 };
  const seed = number('seed', 1);
  if (values.reproduce !== undefined) return reproduce(targets, values.reproduce, limits);
  process.once('SIGINT', () => {
    isStopped = true;
  });
  const weight = (some: readonly Target[]) => some.reduce((sum, { inputs }) => sum + inputs, 0);
  const all: [Target, Totals][] = [];
  for (const target of targets) {
    if (isStopped) break;
    const seconds =
      values.inputs === undefined ? number('seconds', 60) / targets.length : Number.POSITIVE_INFINITY;
    const share = target.inputs / weight(targets);
    const inputs =
      values.inputs === undefined ? Number.POSITIVE_INFINITY : Math.ceil(number('inputs', 0) * share);
    all.push([target, await fuzz(target, { ...limits, seed, from: number('from', 0), seconds, inputs })]);
  }
  print(all);
  return all.some(([, { files }]) => files.length > 0) ? 1 : 0;
}

function parsed(args: string[]) {
  const text = { type: 'string' } as const;
  const options = {
    ...{
      seconds: text,
      inputs: text,
      seed: text,
      from: text,
      reproduce: text,
      'limit-ms': text,
      'max-mb': text,
    },
    help: { type: 'boolean', short: 'h' },
  } as const;
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    console.error(`fuzz: ${(error as Error).message}`);
    return { values: undefined, positionals: [] };
  }
}

async function fuzz(target: Target, options: Options): Promise<Totals> {
  const { seed, seconds, inputs, from } = options;
  const guarded = new Guarded(target.name, options);
  const totals = new Totals();
  const known = new Set<string>();
  const skip: number[] = [];
  const start = performance.now();
  const end = from + inputs;
  let next = from;
  let count = 8;
  let printed = start;

  const found = async (finding: Finding, index: number) => {
    if (known.has(finding.key)) return;
    known.add(finding.key);
    totals.files.push(await written(target, guarded, finding, seed, index));
  };
  while (!isStopped && next < end && performance.now() - start < 1000 * seconds) {
    const began = performance.now();
    const size = Math.min(count, end - next);
    try {
      const report = await guarded.slice({ kind: 'slice', seed, from: next, count: size, skip });
      for (const [code, n] of report.codes) totals.count(code, n);
      if (report.slowest.ms > totals.slowest.ms) totals.slowest = report.slowest;
      next += size;
      for (const finding of report.findings) await found(finding, finding.index);
      count = Math.max(1, Math.min(100_000, Math.round((count * 400) / (performance.now() - began))));
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      // In a worker of its own: memory gathers up over many inputs, and other programs may have the
      // processor.
      const drawn = await decisions(target, seed, error.index);
      const { finding } = await guarded.one({ kind: 'drawn', drawn });
      count = Math.max(1, error.index - next);
      if (finding?.key !== error.finding.key) {
        totals.restarts++;
        continue;
      }
      skip.push(error.index);
      totals.count('finding');
      await found(finding, error.index);
    }
    totals.seconds = (performance.now() - start) / 1000;
    if (performance.now() - printed > (process.stderr.isTTY ? 1000 : 30_000)) {
      printed = performance.now();
      process.stderr.write(
        `${process.stderr.isTTY ? '\r\x1b[K' : ''}${line(target, totals)}${process.stderr.isTTY ? '' : '\n'}`,
      );
    }
  }
  await guarded.end();
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return totals;
}

/** The numbers that an input was made from. */
async function decisions(target: Target, seed: number, index: number): Promise<number[]> {
  const dice = Dice.of(seed, index);
  // A generator that throws is a finding of the worker.
  await (async () => target.make(dice))().catch(() => {});
  return dice.drawn;
}

/** Minimises a finding, its decisions first and then its bytes, and writes it. @returns the file */
async function written(
  target: Target,
  guarded: Guarded,
  finding: Finding,
  seed: number,
  index: number,
): Promise<string> {
  process.stderr.write(`\n${target.name} ${seed}:${index}: ${finding.key}\n`);
  const until = Date.now() + 60_000;
  const isOver = () => isStopped || Date.now() > until;
  const isSame = ({ finding: found }: Partial<OneReport>) => found?.key === finding.key;
  let drawn = await decisions(target, seed, index);
  if (isSame(await guarded.one({ kind: 'drawn', drawn }))) {
    drawn = await minimised(
      drawn,
      async (some) => isSame(await guarded.one({ kind: 'drawn', drawn: some })),
      isOver,
    );
  }
  let input: Uint8Array;
  try {
    input = await target.make(Dice.replay(drawn));
  } catch (error) {
    process.stderr.write(`the generator throws: ${(error as Error).stack}\n`);
    return `${seed}:${index}`;
  }
  const shows = async (bytes: number[]) =>
    isSame(await guarded.one({ kind: 'one', input: Uint8Array.from(bytes) }));
  const isAlone = await shows([...input]);
  if (isAlone) input = Uint8Array.from(await minimised([...input], shows, isOver));
  const folder = `${FOLDER}${target.name}/`;
  mkdirSync(folder, { recursive: true });
  const path = `${folder}${seed}-${index}.bin`;
  writeFileSync(path, input);
  const alone = isAlone ? '' : 'Shown after earlier inputs only.\n';
  writeFileSync(
    `${path}.txt`,
    `${target.name} ${seed}:${index}\n${alone}${finding.key}\n\n${finding.detail}\n`,
  );
  process.stderr.write(`${finding.detail}\n${path}: ${input.length} bytes\n`);
  return path;
}

async function reproduce([target]: readonly Target[], what: string, limits: Limits): Promise<number> {
  const [, seed, index] = /^(\d+):(\d+)$/.exec(what) ?? [];
  const guarded = new Guarded(target!.name, limits);
  const { code, finding, ms } = await guarded.one(
    seed === undefined
      ? { kind: 'one', input: new Uint8Array(readFileSync(what)) }
      : { kind: 'drawn', drawn: await decisions(target!, Number(seed), Number(index)) },
  );
  await guarded.end();
  console.log(finding ? `${finding.key}\n\n${finding.detail}` : `${code}, ${ms?.toFixed(1)} ms`);
  return finding ? 1 : 0;
}

function line({ name }: Target, totals: Totals): string {
  const { inputs, accepted, seconds, codes, files, slowest } = totals;
  return [
    `${name}: ${inputs} inputs`,
    `${Math.round(inputs / seconds)}/s`,
    `${((100 * accepted) / inputs).toFixed(1)} % accepted`,
    `${codes.size - (codes.has(ACCEPTED) ? 1 : 0)} codes`,
    `slowest ${Math.round(slowest.ms)} ms`,
    `${files.length} findings`,
  ].join(', ');
}

function print(all: readonly (readonly [Target, Totals])[]): void {
  const row = (cells: readonly (string | number)[]) => `| ${cells.join(' | ')} |`;
  const total = (of: (totals: Totals) => number) => all.reduce((sum, [, totals]) => sum + of(totals), 0);
  console.log(
    row(['target', 'inputs', 'accepted', 'refused', 'seconds', 'inputs/s', 'slowest, ms', 'findings']),
  );
  console.log(row(['---', '---:', '---:', '---:', '---:', '---:', '---:', '---:']));
  for (const [{ name }, { inputs, accepted, seconds, slowest, files }] of all) {
    const rate = Math.round(inputs / Math.max(seconds, 0.001));
    console.log(
      row([
        name,
        inputs,
        accepted,
        inputs - accepted,
        Math.round(seconds),
        rate,
        Math.round(slowest.ms),
        files.length,
      ]),
    );
  }
  if (all.length > 1) {
    const [inputs, accepted] = [total((one) => one.inputs), total((one) => one.accepted)];
    const [seconds, findings] = [total((one) => one.seconds), total((one) => one.files.length)];
    const rate = Math.round(inputs / Math.max(seconds, 0.001));
    console.log(row(['all', inputs, accepted, inputs - accepted, Math.round(seconds), rate, '', findings]));
  }
  for (const [{ name }, { codes, restarts, slowest }] of all) {
    const sorted = [...codes].sort(([, a], [, b]) => b - a).map(([code, n]) => `${code} ${n}`);
    const again = restarts === 0 ? '' : `; ${restarts} workers started anew for memory or time`;
    console.log(`\n${name}: ${sorted.join(', ')}; slowest input ${slowest.index}${again}`);
  }
}
