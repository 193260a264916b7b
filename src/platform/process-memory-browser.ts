import type { MemoryGate } from './memory-gate.js';

/** A page or an isolate cannot ask how much memory it may use. */
export function processMemory(): MemoryGate | undefined {
  return undefined;
}
