import {
  CheckpointError,
  FqvitError,
  HubError,
  ImageError,
  QuantizeError,
  RuntimeError,
  UsageError,
} from '../errors.js';
import type { JoinedLane } from '../forward/integer/runner.js';
import type { CompiledCodecs } from '../image/codecs-node.js';
import type { Tier } from '../runtime/kernels.js';

/** What a worker needs to compute in a lane: plain and shared values. */
export interface Seat {
  /** The checkpoint, in shared memory. */
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly tier: Tier;
  readonly module: WebAssembly.Module;
  readonly codecs: CompiledCodecs;
  readonly lane: Omit<JoinedLane, 'words' | 'owner'>;
  /** Bytes that all images of the pool may need for decoding. */
  readonly imageMemory: number;
}

/** A seat, as a message. */
export interface TakenSeat extends Seat {
  readonly lane: JoinedLane;
}

/** One call of a method of `Model`. */
export interface PoolTask {
  readonly call: 'classify' | 'features' | 'codes';
  /** Encoded bytes or raw pixels, because a worker opens no files. */
  readonly image: unknown;
  readonly options: object;
}

/** The first message gives a worker its seat, later ones tasks. Each is answered. */
export interface Question<T extends TakenSeat | PoolTask> {
  readonly id: number;
  readonly message: T;
}

/**
 * `stop` ends the task with this number without a result. `end` ends all tasks, then the thread.
 * `granted`: the image of this task has the bytes it needs.
 */
export type Message =
  | Question<TakenSeat | PoolTask>
  | { readonly stop: number }
  | { readonly end: true }
  | { readonly granted: number };

/**
 * A worker's answer: nothing for its seat, a result for a task. It `retires` if only that frees
 * memory.
 */
export type WorkerReply = { readonly id: number; readonly retires?: boolean } & (
  | { readonly result?: unknown }
  | { readonly error: unknown }
);

/** From a worker: the image of this task needs these bytes, or returns them. */
export type MemoryMessage = { readonly id: number } & ({ readonly needs: number } | { readonly gives: true });

const KINDS = [CheckpointError, HubError, ImageError, QuantizeError, RuntimeError, UsageError];

/** An error as a message: the copy between threads would lose its class and code. */
interface Carried {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

export function serializeError(error: unknown): unknown {
  return error instanceof FqvitError
    ? ({ name: error.name, code: error.code, message: error.message } satisfies Carried)
    : error;
}

/** The error that was passed to `serializeError`. */
export function deserializeError(error: unknown): unknown {
  if (error instanceof Error) return error;
  const { name, code, message } = error as Carried;
  const Kind = KINDS.find((kind) => kind.name === name) ?? FqvitError;
  return new Kind(code, message);
}
