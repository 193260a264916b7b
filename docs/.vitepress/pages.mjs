// The pages of the site in the order of the sidebar. A page that does not exist is left out; a page
// of docs/ that no group names is an error.
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** [title, [text, file]]; the files are relative to the root of the repository. */
const GROUPS = [
  [
    'Start',
    [
      ['Overview', 'docs/README.md'],
      ['Install', 'README.md'],
    ],
  ],
  [
    'Guides',
    [
      ['Classify photos', 'docs/classify.md'],
      ['Quantise a model', 'docs/quantize.md'],
      ['Evaluate', 'docs/evaluate.md'],
      ['Read the report', 'docs/report.md'],
      ['Benchmark', 'docs/benchmark.md'],
      ['Folders of photos', 'docs/batch.md'],
      ['HTTP service', 'docs/serve.md'],
      ['Many machines', 'docs/queue.md'],
      ['Engines and bundlers', 'docs/engines.md'],
      ['Errors', 'docs/errors.md'],
      ['From transformers.js', 'docs/from-transformers-js.md'],
    ],
  ],
  [
    'Explanations',
    [
      ['Architecture', 'docs/architecture.md'],
      ['Integer arithmetic', 'docs/arithmetic.md'],
      ['Kernels', 'docs/kernels.md'],
      ['Accuracy', 'docs/accuracy.md'],
      ['Narrower codes', 'docs/widths.md'],
      ['Performance', 'docs/performance.md'],
      ['Integer checkpoint', 'docs/integer-checkpoint.md'],
      ['Reliability', 'docs/reliability.md'],
      ['Dependencies', 'docs/dependencies.md'],
      ['Versions', 'docs/versions.md'],
    ],
  ],
  [
    'API',
    [
      ['Entries', 'docs/api/README.md'],
      ['fqvit', 'docs/api/fqvit.md'],
      ['fqvit/float', 'docs/api/fqvit/float.md'],
      ['fqvit/pool', 'docs/api/fqvit/pool.md'],
      ['fqvit/quantize', 'docs/api/fqvit/quantize.md'],
      ['fqvit/serve', 'docs/api/fqvit/serve.md'],
    ],
  ],
  [
    'Reference',
    [
      ['Models', 'docs/models.md'],
      ['Configs', 'docs/configs.md'],
      ['deit_cifar10', 'models/deit_cifar10.md'],
      ['swin_cifar10', 'models/swin_cifar10.md'],
      ['Fuzzing', 'docs/fuzzing.md'],
      ['Contributing', 'CONTRIBUTING.md'],
      ['Code of conduct', 'CODE_OF_CONDUCT.md'],
      ['Security', 'SECURITY.md'],
      ['Changelog', 'CHANGELOG.md'],
    ],
  ],
];

const exists = ([, file]) => existsSync(`${ROOT}${file}`);

/** The groups with the pages that exist. */
export const groups = GROUPS.map(([title, pages]) => [title, pages.filter(exists)]);

/** Files of all pages. */
export const files = groups.flatMap(([, pages]) => pages.map(([, file]) => file));

const unlisted = ['docs', 'models']
  .flatMap((folder) => readdirSync(`${ROOT}${folder}`).map((name) => `${folder}/${name}`))
  .filter((file) => file.endsWith('.md') && !files.includes(file));
if (unlisted.length > 0) {
  throw new Error(`pages.mjs: expected a place for every page, found none for ${unlisted.join(', ')}`);
}

/** Where a page is on the site, below the base: `serve.md` for docs/serve.md. */
export function pathOf(file) {
  if (file === 'README.md') return 'install.md';
  return file
    .replace(/^docs\//, '')
    .replace(/README\.md$/, 'index.md')
    .toLowerCase();
}
