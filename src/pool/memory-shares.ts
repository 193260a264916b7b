import type { PoolInfo } from './index.js';

const MIB = 2 ** 20;

/** The engine, the program, connections, and what waits for the garbage collector. */
const PROCESS_BYTES = 128 * MIB;
/** A thread: its engine, decoders that are kept, an image that is small enough not to be counted, and garbage. */
const WORKER_BYTES = 96 * MIB;
/** Without so much, bodies of 10 MiB and images of 20 megapixels would not get in. */
const LEAST_BYTES = 104 * MIB;

/** Of what is left, for images that are being decoded. */
const IMAGES_PART = 0.6;
/** For bodies: each may be there four times, as it came, joined, as what is in it, and as the copy that a worker gets. */
const BODIES_PART = 0.4 / 4;

/** What the memory of a process with a pool is for, in bytes. */
export interface MemoryShares {
  readonly total: number;
  /** The least total with which it works. */
  readonly least: number;
  /** For images that are being decoded, all together. */
  readonly images: number;
  /** For bodies that come in or wait, all together, each counted once. */
  readonly bodies: number;
}

/** Divides `total`; below the least as if it were that. */
export function memoryShares(
  total: number,
  { workers, bytes, memoryBytes }: Pick<PoolInfo, 'workers' | 'bytes' | 'memoryBytes'>,
): MemoryShares {
  // the checkpoint as it was read, and as the workers share it
  const fixed = PROCESS_BYTES + workers * WORKER_BYTES + 2 * bytes + memoryBytes;
  const least = fixed + LEAST_BYTES;
  const rest = Math.max(total, least) - fixed;
  return {
    total,
    least,
    images: Math.floor(rest * IMAGES_PART),
    bodies: Math.floor(rest * BODIES_PART),
  };
}
