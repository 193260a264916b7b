import type { VerdictTable } from '../src/checkpoint/config/verdicts.js';
export function configsPage(
  tables: readonly VerdictTable[],
  unsupported: Readonly<Record<string, string>>,
): string;
