import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { modelsPage } from '../../scripts/models-doc.mjs';
import * as names from '../../src/checkpoint/timm-names.js';

test('docs/models.md matches the table (`node scripts/models-doc.mjs` writes it)', () => {
  const page = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
  expect(page).toBe(modelsPage(names));
});
