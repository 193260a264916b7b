// `npm run conformance [-- --only REGEX] [--jobs N] [--again] …`
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { compare, forget } from './compare.mjs';
import { environment } from './environment.mjs';
import { Library } from './library.mjs';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    library: { type: 'string', multiple: true, default: ['timm'] },
    tags: { type: 'boolean', default: false },
    forms: { type: 'string', default: 'saved,hub' },
    jobs: { type: 'string', default: '1' },
    again: { type: 'boolean', default: false },
    'no-probe': { type: 'boolean', default: false },
  },
});

const root = fileURLToPath(new URL('../..', import.meta.url));
const work = process.env.FQVIT_CONFORMANCE_FOLDER ?? join(root, '.conformance');
mkdirSync(work, { recursive: true });
const log = join(work, 'results.jsonl');
if (options.again) rmSync(log, { force: true });
const known = new Map();
for (const line of existsSync(log) ? readFileSync(log, 'utf8').split('\n') : []) {
  if (line === '') continue;
  const result = JSON.parse(line);
  known.set(result.key, result);
}

const only = new RegExp(options.only);
for (const name of options.library) await runLibrary(name);

async function runLibrary(libraryName) {
  const python = environment(libraryName);
  const first = new Library(python);
  const list = await first.ask('list', { library: libraryName });
  const jobs = list
    .flatMap(({ name, module, tags = [] }) => {
      const variants = options.tags && tags.length > 0 ? tags : [name];
      return variants.map((variant) => ({ name, module, variant }));
    })
    .flatMap((job) => options.forms.split(',').map((form) => ({ ...job, form })))
    .filter(({ variant }) => only.test(variant));
  const todo = jobs.filter((job) => !known.has(keyOf(libraryName, job)));
  console.error(`${libraryName}: ${todo.length} of ${jobs.length} to do`);
  let done = 0;
  const worker = async (library, n) => {
    const folder = join(work, `model-${process.pid}-${n}`);
    for (let job = todo.shift(); job !== undefined; job = todo.shift()) {
      const { variant: name, form, module } = job;
      const start = performance.now();
      const verdict = await compare(library, { library: libraryName, name, form }, folder, { probe: form === 'saved' && !options['no-probe'] });
      forget(folder);
      const seconds = Math.round((performance.now() - start) / 100) / 10;
      const result = { key: keyOf(libraryName, job), library: libraryName, module, base: job.name, name, form, ...verdict, seconds };
      appendFileSync(log, `${JSON.stringify(result)}\n`);
      known.set(result.key, result);
      console.error(`${++done} ${name} (${form}): ${verdict.verdict} ${verdict.reason ?? verdict.message ?? verdict.difference?.toExponential(1) ?? ''} ${verdict.blind?.length ? `BLIND ${verdict.blind}` : ''} ${seconds} s`);
    }
    await library.close();
  };
  const more = Array.from({ length: Number(options.jobs) - 1 }, () => new Library(python));
  await Promise.all([first, ...more].map(worker));
}

function keyOf(library, { variant, form }) {
  return `${library} ${variant} ${form}`;
}
