import type { MemoryGate } from './memory-gate.js';

/** Nobody says how much a page or an isolate may use. */
export function processMemory(): MemoryGate | undefined {
  return undefined;
}
