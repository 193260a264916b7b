import { availableMemory } from './available-memory.js';
import { MemoryBudget } from './memory-budget.js';
import type { MemoryGate } from './memory-gate.js';

/** Of the smallest machine. */
const LEAST_BYTES = 64 * 2 ** 20;

let budget: MemoryBudget | undefined;

/** What all images that are decoded in this process share unless their pool has a budget of its own: half of what it may use. */
export function processMemory(): MemoryBudget & MemoryGate {
  budget ??= new MemoryBudget(Math.max(LEAST_BYTES, availableMemory() / 2));
  return budget;
}
