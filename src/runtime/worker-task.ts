import type { Call } from '../models/integer/calls.js';

/** What a worker needs: plain values and shared ones. */
export interface WorkerTask {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly calls: readonly Call[];
  /** Address of the number of the job. */
  readonly job: number;
}

/** The number of the job that ends the workers. */
export const END = -1;

/** A worker that runs, as its platform has it. */
export interface WorkerHandle {
  terminate(): unknown;
}
