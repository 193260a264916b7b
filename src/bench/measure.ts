import { existsSync, readFileSync } from 'node:fs';
import { FqvitError } from '../errors.js';
import { sha256 } from '../platform/sha256.js';
import { yieldToEvents } from '../platform/yield-to-events.js';
import { serializeError } from '../pool/messages.js';

/** How long a process runs a contender. */
export interface Rule {
  /** At least one image. Engines optimise in the background, so the warm-up counts time. */
  readonly warmUpMs: number;
  /** At least one image. */
  readonly measuredMs: number;
}

/** As long a warm-up as a measurement: V8 takes up to a second to optimise the kernels. */
export function ruleOf(measuredMs: number): Rule {
  return { warmUpMs: measuredMs, measuredMs };
}

/** What one process reports. */
export interface Measurement {
  /** From the start of the process to its first answer. */
  readonly firstMs: number;
  readonly loadMs: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly runs: number;
  /** WebAssembly memory, which is planned when a model is loaded. */
  readonly wasmBytes: number;
  /** The peak of the process. */
  readonly residentBytes: number;
  /**
   * SHA-256 of the first and of the last answer, which an engine's first and second compiler give:
   * the codes of an integer model.
   */
  readonly digests: readonly [string, string];
}

/** Computes so many images and gives the last answer. */
export type Run = (images: number) => ArrayBufferView | Promise<ArrayBufferView>;

/** A contender that is loaded. */
export interface Loaded {
  readonly run: Run;
  readonly wasmBytes: number;
}

/** Measures one contender in this process. @param batch images per run; times are per image */
export async function measure(
  open: () => Promise<Loaded>,
  { warmUpMs, measuredMs }: Rule,
  batch = 1,
): Promise<Measurement> {
  const start = performance.now();
  const { run, wasmBytes } = await open();
  const loaded = performance.now();
  const first = await run(batch);
  const firstMs = performance.now();
  while (performance.now() < loaded + warmUpMs) {
    await run(batch);
    await yieldToEvents();
  }
  const times: number[] = [];
  const end = performance.now() + measuredMs;
  let last: ArrayBufferView;
  do {
    const before = performance.now();
    last = await run(batch);
    times.push((performance.now() - before) / batch);
    await yieldToEvents();
  } while (performance.now() < end);
  return {
    firstMs,
    loadMs: loaded - start,
    medianMs: median(times),
    minMs: least(times),
    runs: times.length,
    wasmBytes,
    residentBytes: peakResident(),
    digests: [await digest(first), await digest(last)],
  };
}

/** Precedes an answer on stdout, where other code of the process may print too. */
export const ANSWER = '\nfqvit-bench-answer ';

/**
 * Prints a measurement, or the error that it ended with, for `inFreshProcess`; ends the process.
 */
export async function answerWith(measurement: Promise<Measurement>): Promise<never> {
  // the parent never writes: its pipe closes when it is gone, however it ended
  process.stdin.on('end', () => process.exit(1)).resume();
  const answer = await measurement.catch((error: unknown) => {
    if (!(error instanceof FqvitError)) throw error;
    return { error: serializeError(error) };
  });
  await new Promise((done) => process.stdout.write(`${ANSWER}${JSON.stringify(answer)}\n`, done));
  process.exit(); // threads would keep the process alive
}

function digest({ buffer, byteOffset, byteLength }: ArrayBufferView): Promise<string> {
  return sha256(new Uint8Array(buffer, byteOffset, byteLength));
}

/** The middle value; of an even number the upper one. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** The least value. `Math.min` takes only as many as fit on the stack. */
function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b));
}

/** Peak resident bytes. Linux's `maxRSS` would start with the parent process's memory. */
export function peakResident(): number {
  const status = '/proc/self/status';
  if (!existsSync(status)) return 1024 * process.resourceUsage().maxRSS;
  return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync(status, 'utf8'))![1]);
}
