/**
 * The thread that runs the inputs: whoever started it watches its time and memory, and can end it.
 */

import { parentPort, workerData } from 'node:worker_threads';
import { Dice } from './dice.js';
import { ACCEPTED, attempt, attemptControl, type Finding, type Target } from './target.js';
import { targetNamed } from './targets/index.js';

/** What to run: some inputs of a seed, or one. */
export type Order =
  | {
      readonly kind: 'slice';
      readonly seed: number;
      readonly from: number;
      readonly count: number;
      readonly skip: readonly number[];
    }
  | { readonly kind: 'one'; readonly input: Uint8Array }
  | { readonly kind: 'drawn'; readonly drawn: readonly number[] };

export interface SliceReport {
  readonly codes: ReadonlyMap<string, number>;
  readonly slowest: { readonly index: number; readonly ms: number };
  /** The first of each key. */
  readonly findings: readonly (Finding & { readonly index: number })[];
}

export interface OneReport {
  readonly input: Uint8Array;
  readonly code?: string | undefined;
  readonly finding?: Finding | undefined;
  readonly ms: number;
}

/** So many refusals lie between two looks at sound input. */
const CONTROL_EVERY = 50;

/**
 * Shared with the watching thread: the index of the input and the time at which it began, 0 between
 * inputs.
 */
const clock = new Float64Array((workerData as { clock: SharedArrayBuffer }).clock);
const target = targetNamed((workerData as { target: string }).target);
let refused = 0;

async function slice(
  seed: number,
  from: number,
  count: number,
  skip: readonly number[],
): Promise<SliceReport> {
  const codes = new Map<string, number>();
  const findings = new Map<string, Finding & { index: number }>();
  let slowest = { index: from, ms: 0 };
  for (let index = from; index < from + count; index++) {
    if (skip.includes(index)) continue;
    clock[0] = index;
    clock[1] = Date.now();
    const start = performance.now();
    const { code, finding } = await attempt(target, await target.make(Dice.of(seed, index)));
    const ms = performance.now() - start;
    const isControl = code !== undefined && code !== ACCEPTED && ++refused % CONTROL_EVERY === 0;
    const fault = finding ?? (isControl ? await attemptControl(target) : undefined);
    clock[1] = 0;
    if (ms > slowest.ms) slowest = { index, ms };
    if (fault && !findings.has(fault.key)) findings.set(fault.key, { ...fault, index });
    const counted = fault ? 'finding' : code!;
    codes.set(counted, (codes.get(counted) ?? 0) + 1);
  }
  return { codes, slowest, findings: [...findings.values()] };
}

async function one(input: Uint8Array): Promise<OneReport> {
  clock[1] = Date.now();
  const start = performance.now();
  const { code, finding } = await attempt(target, input);
  const fault = finding ?? (await attemptControl(target));
  clock[1] = 0;
  return { input, code, finding: fault, ms: performance.now() - start };
}

async function drawn(target: Target, numbers: readonly number[]): Promise<OneReport> {
  clock[1] = Date.now();
  return one(await target.make(Dice.replay(numbers)));
}

parentPort!.on('message', async (order: Order) => {
  const report =
    order.kind === 'slice'
      ? await slice(order.seed, order.from, order.count, order.skip)
      : order.kind === 'one'
        ? await one(order.input)
        : await drawn(target, order.drawn);
  parentPort!.postMessage(report);
});
parentPort!.postMessage('ready');
