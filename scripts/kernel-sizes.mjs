// Copies the sizes of assembly/sizes.ts to src/runtime/kernel-sizes.ts:
//   node scripts/kernel-sizes.mjs
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** The module, from the sizes that the kernels compile. */
export function kernelSizes() {
  const text = readFileSync(at('assembly/sizes.ts'), 'utf8');
  const body = text.slice(text.indexOf('*/') + 2).trimStart();
  return `// Copied from assembly/sizes.ts by scripts/kernel-sizes.mjs: not to be changed by hand.\n\n${body}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(at('src/runtime/kernel-sizes.ts'), kernelSizes());
