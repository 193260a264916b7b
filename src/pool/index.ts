/**
 * Classifies several images at a time, on workers that share one copy of the weights: Node, Deno
 * and Bun.
 *
 * @module fqvit/pool
 */

export {
  createPool,
  Pool,
  type PoolCallOptions,
  type PoolImage,
  type PoolInfo,
  type PoolOptions,
} from './pool.js';
