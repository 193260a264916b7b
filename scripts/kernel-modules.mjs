// The kernel modules in wasm/: the targets of asconfig.json.
import { readFileSync } from 'node:fs';

const { targets } = JSON.parse(readFileSync(new URL('../asconfig.json', import.meta.url), 'utf8'));

export const TARGETS = targets;

/** Their file names, without `.wasm`. */
export const KERNEL_MODULES = Object.keys(targets).map((name) => `fqvit.${name}`);
