// The digest in Node, Deno and Bun, printed as JSON. Arguments: more models.
import { readFile } from 'node:fs/promises';
import { load } from '../../dist/index.js';
import { digest } from './digest.mjs';

const version = globalThis.Deno?.version.deno ?? globalThis.Bun?.version ?? process.versions.node;
// a path in the repository, or an absolute one
const read = (path) => readFile(new URL(path, new URL('../../', import.meta.url)));
console.log(JSON.stringify({ version, ...(await digest({ load, read, models: process.argv.slice(2) })) }));
