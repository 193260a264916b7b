import type { PoolInfo } from './pool.js';

const MIB = 2 ** 20;

/** The engine, the program, connections, and garbage. */
const PROCESS_BYTES = 128 * MIB;
/** A thread: its engine, cached decoders, an image too small to count, and garbage. */
const WORKER_BYTES = 96 * MIB;
/** With less, bodies of 10 MiB and images of 20 megapixels would be refused. */
const LEAST_BYTES = 104 * MIB;

/** Part of the rest for images that are being decoded. */
const IMAGES_PART = 0.6;
/**
 * Part for bodies. Each may exist four times: as received, joined, parsed, and copied to a worker.
 */
const BODIES_PART = 0.4 / 4;

/** How the memory of a process with a pool is divided, in bytes. */
export interface MemoryShares {
  readonly total: number;
  /** The smallest total that works. */
  readonly least: number;
  /** For all images that are being decoded. */
  readonly images: number;
  /** For all bodies that arrive or wait, each counted once. */
  readonly bodies: number;
}

/** Divides `total`, or the least if `total` is smaller. */
export function memoryShares(
  total: number,
  { workers, bytes, memoryBytes }: Pick<PoolInfo, 'workers' | 'bytes' | 'memoryBytes'>,
): MemoryShares {
  // the checkpoint as read, and as the workers share it
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
