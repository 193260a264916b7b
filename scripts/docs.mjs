// `npm run docs`: builds the docs site, the guide with the API reference and the example page as a
// demo, into docs/.site. DOCS_BASE and DOCS_REPOSITORY: docs/.vitepress/config.mjs.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setup } from './setup.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const site = 'docs/.site';

setup();
const inDocs = { cwd: 'docs', stdio: 'inherit' };
if (!existsSync('docs/node_modules')) {
  const quiet = ['--no-audit', '--no-fund'];
  execFileSync('npm', ['ci', '--ignore-scripts', ...quiet], {
    ...inDocs,
    shell: process.platform === 'win32',
  });
}
rmSync('docs/api', { recursive: true, force: true });
const run = (bin, ...args) => execFileSync(process.execPath, [`node_modules/${bin}`, ...args], inDocs);
run('typedoc/bin/typedoc');
run('vitepress/bin/vitepress.js', 'build');
buildDemo();

/** The example page with all that it loads in one folder, so that it works below any path. */
function buildDemo() {
  const demo = `${site}/demo`;
  cpSync('examples/page', demo, { recursive: true, filter: (path) => !path.endsWith('.md') });
  const copies = [
    ['dist/browser', 'fqvit'],
    ['models', 'models'],
    ['training/weights', 'weights'],
    ['examples/chelsea.png', 'chelsea.png'],
  ];
  for (const [from, to] of copies) cpSync(from, `${demo}/${to}`, { recursive: true });
  for (const script of ['page.js', 'worker.js']) {
    const text = readFileSync(`${demo}/${script}`, 'utf8');
    const moved = copies.reduce(
      (moving, [from, to]) => moving.replaceAll(`'../../${from}`, `'./${to}`),
      text.replaceAll("'../chelsea.png'", "'./chelsea.png'"),
    );
    if (moved.includes("'../")) throw new Error(`${script}: expected no path outside the page, found one`);
    writeFileSync(`${demo}/${script}`, moved);
  }
}
