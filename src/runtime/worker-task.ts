import type { Call } from '../models/integer/calls.js';

/** What a worker needs: plain values and shared ones. */
export interface WorkerTask {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly calls: readonly Call[];
  /** Address of the words of the job. */
  readonly job: number;
}

/** Words of a job: its number, and how many barriers it passes where it ends before its time; 0 where it does not. */
export const JOB_WORDS = 2;
export const STOP_WORD = 1;

/** The number of the job that ends the workers. */
export const END = -1;

/** A worker that runs, as its platform has it. */
export interface WorkerHandle {
  /** Called after `END`. */
  end(): void;
}
