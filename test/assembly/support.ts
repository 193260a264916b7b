import { instantiateSync } from '@assemblyscript/loader';
import { expect } from '@jest/globals';
import fc from 'fast-check';
import type { IntegerKernels, Tier } from '../../src/runtime/kernels.js';
import { countMissing, readModule, TIERS } from '../support/tiers.js';
import type { Windows } from './reference.js';

const modules = new Map(TIERS.map((tier) => [tier, new WebAssembly.Module(readModule(tier))]));

/** Rows of bytes, `stride` apart: a kernel may write `written` of each, and `columns` count. */
export interface Rows {
  readonly address: number;
  readonly rows: number;
  readonly columns: number;
  readonly written: number;
  readonly stride: number;
}

const PAGE = 65536;
const GUARD = 0xa5;

/**
 * The kernels of a tier with a fresh memory full of guard bytes, and a way to place operands in it.
 */
export class Bench {
  readonly kernels: IntegerKernels;
  readonly #memory: Uint8Array;
  /** The expected memory, except what the kernel may write. */
  readonly #expected: Uint8Array;
  readonly #outputs: Rows[] = [];
  #end = 1024;

  constructor(
    readonly tier: Tier,
    bytes: number,
  ) {
    const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
    this.kernels = instantiateSync(modules.get(tier)!, { env: { memory } })
      .exports as unknown as IntegerKernels;
    this.#memory = new Uint8Array(memory.buffer).fill(GUARD);
    this.#expected = new Uint8Array(memory.buffer.byteLength).fill(GUARD);
  }

  /**
   * Copies an operand to a 16-byte aligned address with guard bytes around it.
   * @returns the address
   */
  put(values: ArrayBufferView): number {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    const address = this.#reserve(bytes.length);
    this.#memory.set(bytes, address);
    this.#expected.set(bytes, address);
    return address;
  }

  /**
   * Room for an output. The bytes between its rows are guards, except those that the kernel may
   * write.
   */
  output(rows: number, columns: number, stride = columns, written = columns): Rows {
    const address = this.#reserve((rows - 1) * stride + written);
    return this.#declare({ address, rows, columns, written, stride });
  }

  /** States that the kernel overwrites an operand. */
  inPlace(address: number, bytes: number): Rows {
    return this.#declare({ address, rows: 1, columns: bytes, written: bytes, stride: bytes });
  }

  scratch(bytes: number): number {
    return this.output(1, bytes).address;
  }

  /** The columns of an output that count. */
  read({ address, rows, columns, stride }: Rows): Uint8Array {
    const read = new Uint8Array(rows * columns);
    for (let r = 0; r < rows; r++) {
      const start = address + r * stride;
      read.set(this.#memory.subarray(start, start + columns), r * columns);
    }
    return read;
  }

  expectNothingElseWritten(): void {
    for (const { address, rows, written, stride } of this.#outputs) {
      for (let r = 0; r < rows; r++) {
        const start = address + r * stride;
        this.#expected.set(this.#memory.subarray(start, start + written), start);
      }
    }
    expectSame(this.#memory, this.#expected);
  }

  #declare(output: Rows): Rows {
    this.#outputs.push(output);
    return output;
  }

  #reserve(bytes: number): number {
    const address = this.#end;
    this.#end = Math.ceil((address + bytes + 64) / 16) * 16;
    if (this.#end > this.#memory.length) throw new RangeError(`the bench needs ${this.#end} bytes of memory`);
    return address;
  }
}

/**
 * Places the operands of a kernel and calls it, on every tier. All tiers must write the same bits,
 * and nothing elsewhere.
 *
 * @param call returns the output
 * @returns its rows without padding
 */
export function onEveryTier(bytes: number, call: (bench: Bench) => Rows): Uint8Array {
  const [scalar, ...others] = TIERS.map((tier) => {
    const bench = new Bench(tier, bytes);
    const output = call(bench);
    bench.expectNothingElseWritten();
    return bench.read(output);
  });
  for (const other of others) expectSame(other, scalar!);
  countMissing();
  return scalar!;
}

/**
 * Expects equal bits. Reports only the first difference: Jest takes minutes to print two long
 * arrays.
 */
export function expectSame(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  if (
    actual instanceof Uint8Array &&
    expected instanceof Uint8Array &&
    Buffer.compare(actual, expected) === 0
  )
    return;
  let at = 0;
  while (at < expected.length && actual[at] === expected[at]) at++;
  if (at < expected.length || actual.length !== expected.length) {
    expect({ at, length: actual.length, value: actual[at] }).toEqual({
      at,
      length: expected.length,
      value: expected[at],
    });
  }
}

export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

// Jest looks globals up slowly
const { floor, imul } = Math;

/** Pseudo-random operands, the same in every run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** 0 <= x < 1. */
  real(): number {
    this.#state = (this.#state + 0x9e3779b9) | 0;
    let t = this.#state ^ (this.#state >>> 16);
    t = imul(t, 0x21f0aaad);
    t = imul(t ^ (t >>> 15), 0x735a2d97);
    return ((t ^ (t >>> 15)) >>> 0) / 2 ** 32;
  }

  /** Both ends included. */
  integer(low: number, high: number): number {
    return low + floor(this.real() * (high - low + 1));
  }

  /** ±2^0..2^31, every size equally likely. */
  multiplier(): number {
    const size = Math.min(Math.floor(2 ** (this.real() * 31)), 2 ** 31 - 1);
    return this.real() < 0.5 ? -size : size;
  }

  codes(count: number, low = 0, high = 255): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.integer(low, high));
  }
}

/** Swin's windows and unusual ones: one token, window = side, odd windows, the largest shift. */
export const WINDOWS: Windows[] = [
  { side: 1, window: 1, shift: 0 },
  { side: 4, window: 1, shift: 0 },
  { side: 3, window: 3, shift: 2 },
  { side: 9, window: 3, shift: 1 },
  { side: 7, window: 7, shift: 0 },
  { side: 7, window: 7, shift: 3 },
  { side: 14, window: 7, shift: 3 },
  { side: 21, window: 7, shift: 6 },
  { side: 28, window: 7, shift: 0 },
  { side: 56, window: 7, shift: 3 },
  { side: 8, window: 8, shift: 4 },
  { side: 24, window: 8, shift: 4 },
  { side: 12, window: 12, shift: 0 },
  { side: 24, window: 12, shift: 6 },
];

export const windowShapes: fc.Arbitrary<Windows> = fc
  .tuple(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 6 }), fc.nat({ max: 5 }))
  .map(([across, window, shift]) => ({ side: across * window, window, shift: shift % window }));

/** Places at which a new call begins, modulo the size. */
export const cutsOf: fc.Arbitrary<number[]> = fc.array(fc.nat(1000), { minLength: 1, maxLength: 2 });

/** Cuts 0 to `count` into ranges, the last first: no call may depend on an earlier one. */
export function ranges(count: number, cuts: number[]): [from: number, to: number][] {
  const edges = [0, ...cuts.map((cut) => cut % count), count].sort((a, b) => a - b);
  return edges
    .slice(1)
    .map((to, i): [number, number] => [edges[i]!, to])
    .filter(([from, to]) => from < to)
    .reverse();
}
