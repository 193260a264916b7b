import {
  CheckpointError,
  FqvitError,
  HubError,
  ImageError,
  QuantizeError,
  RuntimeError,
  UsageError,
} from '../errors.js';
import type { CompiledCodecs } from '../image/codecs-node.js';
import type { Joined } from '../models/integer.js';
import type { Tier } from '../runtime/kernels.js';

/** What a worker needs to compute in a lane: plain values and shared ones. */
export interface Seat {
  /** The checkpoint, in shared memory. */
  readonly bytes: Uint8Array;
  readonly name: string;
  readonly tier: Tier;
  readonly module: WebAssembly.Module;
  readonly codecs: CompiledCodecs;
  readonly lane: Omit<Joined, 'words' | 'owner'>;
  /** Bytes that all images of the pool may take to be decoded. */
  readonly imageMemory: number;
}

/** A seat, as a thread takes it. */
export interface TakenSeat extends Seat {
  readonly lane: Joined;
}

/** One call of a method of `Model`. */
export interface Task {
  readonly call: 'classify' | 'features' | 'codes';
  /** Encoded bytes or raw pixels: a worker opens no file. */
  readonly image: unknown;
  readonly options: object;
}

/** The first gives a worker its seat, the others tasks: each is answered. */
export interface Question<T extends TakenSeat | Task> {
  readonly id: number;
  readonly message: T;
}

/**
 * `stop`: the task of this number ends without a result. `end`: so do all tasks, and then the thread. `granted`: the image of this
 * task has the bytes that it needs.
 */
export type Message =
  | Question<TakenSeat | Task>
  | { readonly stop: number }
  | { readonly end: true }
  | { readonly granted: number };

/** What a worker answers: to its seat with nothing, to a task with its result. It `retires` where only its end gives memory back. */
export type Answer = { readonly id: number; readonly retires?: boolean } & (
  | { readonly result?: unknown }
  | { readonly error: unknown }
);

/** Of a worker: the image of this task needs so many bytes, which are granted, or gives them back. */
export type MemoryMessage = { readonly id: number } & ({ readonly needs: number } | { readonly gives: true });

const KINDS = [CheckpointError, HubError, ImageError, QuantizeError, RuntimeError, UsageError];

/** An error as it passes between threads, which keeps neither class nor code of its own. */
interface Carried {
  readonly name: string;
  readonly code: string;
  readonly message: string;
}

export function carried(error: unknown): unknown {
  return error instanceof FqvitError
    ? ({ name: error.name, code: error.code, message: error.message } satisfies Carried)
    : error;
}

/** The error that `carried` was given. */
export function restored(error: unknown): unknown {
  if (error instanceof Error) return error;
  const { name, code, message } = error as Carried;
  const Kind = KINDS.find((kind) => kind.name === name) ?? FqvitError;
  return new Kind(code, message);
}
