import { availableMemory } from './available-memory.js';
import { MemoryBudget } from './memory-budget.js';
import type { MemoryGate } from './memory-gate.js';

/** Budget on the smallest machine. */
const LEAST_BYTES = 64 * 2 ** 20;

let budget: MemoryBudget | undefined;

/**
 * The budget that all images in this process share, unless their pool has its own: half of the
 * memory that the process may use.
 */
export function processMemory(): MemoryBudget & MemoryGate {
  budget ??= new MemoryBudget(Math.max(LEAST_BYTES, availableMemory() / 2));
  return budget;
}
