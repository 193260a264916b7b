import type { IntegerKernels, ThreadKernels } from './kernels.js';
import { rowGroups } from './passes.js';

/** A kernel and its operands. */
export type KernelCall = {
  [Name in keyof ThreadKernels]: readonly [kernel: Name, ...operands: Parameters<ThreadKernels[Name]>];
}[keyof ThreadKernels];

/** One of the threads that share a forward pass. */
export interface ThreadPart {
  readonly index: number;
  readonly count: number;
  /** Address of the scratch memory of this thread. */
  readonly scratch: number;
}

/** The first index, and the index after the last. */
export type RowRange = readonly [from: number, to: number];

/** The share of one thread in `count` items, in whole groups of `group`. */
export function share(count: number, part: ThreadPart, group = 1): RowRange {
  const groups = Math.ceil(count / group);
  const edge = (index: number) => Math.min(Math.floor((groups * index) / part.count) * group, count);
  return [edge(part.index), edge(part.index + 1)];
}

/** A range of rows in groups, one kernel call each (`rowGroups`). @param macs per row */
export function inGroups([from, to]: RowRange, macs: number): RowRange[] {
  return [...rowGroups(to - from, macs)].map(([first, count]) => [from + first, count]);
}

/** Rows of one head in one window that a thread computes. */
export interface HeadShare {
  readonly window: number;
  readonly head: number;
  readonly from: number;
  readonly rows: number;
}

/**
 * The share of one thread in the rows of all heads in all windows: whole windows if there are
 * enough, else rows in groups of four. Two threads that share a head both pack its keys and values.
 *
 * @param macs per row
 */
export function shareHeads(
  windows: number,
  heads: number,
  rows: number,
  part: ThreadPart,
  macs: number,
): HeadShare[] {
  const isWhole = windows >= part.count;
  const groups = Math.ceil(rows / 4);
  const [first, last] = isWhole ? share(windows, part) : [0, windows];
  const [from, to] = isWhole ? [0, heads * groups] : share(heads * groups, part);
  const list: HeadShare[] = [];
  for (let window = first; window < last; window++) {
    for (let head = 0; head < heads; head++) {
      const start = Math.max(from - head * groups, 0) * 4;
      const end = Math.min(Math.min(to - head * groups, groups) * 4, rows);
      for (const [row, count] of inGroups([start, Math.max(start, end)], macs))
        list.push({ window, head, from: row, rows: count });
    }
  }
  return list;
}

/** Calls that are ready to run, in order. */
export type LinkedCalls = readonly (readonly [(...operands: number[]) => unknown, readonly number[]])[];

export function link(calls: readonly KernelCall[], kernels: IntegerKernels): LinkedCalls {
  const named = kernels as unknown as Record<string, (...operands: number[]) => unknown>;
  return calls.map(([kernel, ...operands]) => [named[kernel]!, operands]);
}

export function execute(program: LinkedCalls): void {
  for (const [kernel, operands] of program) kernel(...operands);
}
