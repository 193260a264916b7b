import type { KernelCall } from './calls.js';

/** What a worker needs, as plain and shared values. */
export interface WorkerTask {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly calls: readonly KernelCall[];
  /** Address of the words of the job. */
  readonly job: number;
}

/** Words of a job: its number, and after how many barriers it ends early; 0 if it does not. */
export const JOB_WORDS = 2;
export const STOP_WORD = 1;

/** The number of the job that ends the workers. */
export const END = -1;

/** A running worker of any platform. */
export interface WorkerHandle {
  /** Called after `END`. */
  end(): void;
}
