// `npm run conformance [-- OPTIONS]` compares every ViT-like model and image processor of timm and
// transformers with fqvit and writes docs/models.md. It keeps results in .conformance/ until the
// build or the checks change.
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setup } from '../../scripts/setup.mjs';
import { compare, refusedByConfig } from './compare.mjs';
import { environment } from './environment.mjs';
import { keysWithoutVerdict } from './keys.mjs';
import { Library, Reader } from './library.mjs';
import { judged, page } from './page.mjs';

/** Both versions of transformers are tested: their models and their image processors. */
const LIBRARIES = ['timm', 'transformers', 'transformers-4', 'processors', 'processors-4'];

const { values: options } = parseArgs({
  options: {
    /** A regular expression for the names to compare. If it is given, no page is written. */
    only: { type: 'string' },
    library: { type: 'string', multiple: true, default: LIBRARIES },
    jobs: { type: 'string', default: String(Math.max(1, Math.floor(availableParallelism() / 2))) },
    /** Ignores the results of earlier runs. */
    again: { type: 'boolean', default: false },
    /** Skips the probes, which measure what the comparison can see. */
    'no-probe': { type: 'boolean', default: false },
  },
});

setup();
const root = fileURLToPath(new URL('../..', import.meta.url));
const work = process.env.FQVIT_CONFORMANCE_FOLDER ?? join(root, '.conformance');
mkdirSync(work, { recursive: true });
const log = join(work, 'results.jsonl');
const build = digest(
  ...filesIn('dist', /\.js$/),
  ...filesIn('test/conformance', /^(\w+\.py|(read|compare)\.mjs)$/),
  'wasm/fqvit.float.wasm',
);
const known = earlier();
const versions = {};

const { library: libraries } = options;
for (const name of libraries) await runLibrary(name);

const all = judged([...known.values()]);
const bad = all.filter(
  ({ library, verdict, blind = [] }) =>
    ['WRONG', 'CRASH'].includes(verdict) || blind.length > 0 || (library === 'timm' && verdict === 'library'),
);
for (const { key, verdict, reason, blind } of bad) {
  console.log(
    `${key}: ${verdict} ${reason ?? ''}${blind?.length ? `, does not show ${blind.join(', ')}` : ''}`,
  );
}
const unjudged = ['transformers', 'transformers-4']
  .filter((name) => libraries.includes(name))
  .flatMap((name) => keysWithoutVerdict(environment(work, name)));
for (const key of unjudged) console.log(`${key}: no verdict in src/checkpoint/config`);
console.log(`${all.length} compared, ${bad.length + unjudged.length} to look at`);
if (options.only === undefined && LIBRARIES.every((name) => name in versions)) {
  writeFileSync(join(root, 'docs/models.md'), page(all, versions));
}
process.exit(bad.length + unjudged.length > 0 ? 1 : 0);

async function runLibrary(name) {
  const python = environment(work, name);
  const library = new Library(python);
  versions[name] = await library.ask('versions');
  const only = new RegExp(options.only ?? '');
  const todo = (await library.ask('list', { library: name })).filter((one) => only.test(one.name));
  let done = 0;
  const total = todo.length;
  const worker = async (one, n) => {
    const partners = { library: one, reader: new Reader() };
    const folder = join(work, `model-${process.pid}-${n}`);
    for (let job = todo.shift(); job !== undefined; job = todo.shift()) {
      const results = await verdicts(partners, name, job, folder);
      done++;
      for (const result of results) say(done, total, result);
    }
    rmSync(folder, { recursive: true, force: true });
    one.close();
    partners.reader.close();
  };
  const more = Array.from({ length: Number(options.jobs) - 1 }, () => new Library(python));
  await Promise.all([library, ...more].map(worker));
}

/** The results of a model, in both forms of its config, then those of its pretrained tags. */
async function verdicts(partners, name, { name: model, module, tags = [] }, folder) {
  const results = [];
  const once = async (variant, form, probe) => {
    const key = [name, variant, form].filter(Boolean).join(' ');
    if (known.has(key)) return known.get(key);
    const start = performance.now();
    const request = { library: name, name: variant, form };
    const verdict =
      (name === 'timm' && (await refusedByConfig(partners, request, folder))) ||
      (await compare(partners, request, folder, probe && !options['no-probe']));
    const seconds = Math.round((performance.now() - start) / 100) / 10;
    const result = { key, build, library: name, module, model, name: variant, form, ...verdict, seconds };
    appendFileSync(log, `${JSON.stringify(result)}\n`);
    known.set(key, result);
    results.push(result);
    return result;
  };
  const forms = name === 'timm' ? ['saved', 'hub'] : [''];
  const verdict = [];
  for (const form of forms) verdict.push((await once(model, form, form !== 'hub')).verdict);
  if (verdict.every((one) => one === 'refused')) return results;
  for (const tag of tags) await once(tag, 'hub', false);
  return results;
}

function say(done, total, { key, verdict, reason, message, difference, seconds, blind = [] }) {
  const why = reason || message || (difference === undefined ? '' : difference.toExponential(1));
  const unseen = blind.length > 0 ? `; does not show ${blind.join(', ')}` : '';
  console.error(`${done}/${total} ${key}: ${verdict} ${why}${unseen} (${seconds} s)`);
}

function filesIn(folder, pattern) {
  const names = readdirSync(join(root, folder), { recursive: true }).filter((name) => pattern.test(name));
  return names.sort().map((name) => join(folder, name));
}

function digest(...files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}

function earlier() {
  const results = new Map();
  if (options.again || !existsSync(log)) return results;
  for (const line of readFileSync(log, 'utf8').split('\n').filter(Boolean)) {
    const result = JSON.parse(line);
    if (result.build === build) results.set(result.key, result);
  }
  return results;
}
