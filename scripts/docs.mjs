// `npm run docs`: builds the docs site, the guide with the API reference and the example page as a
// demo, into docs/.site. DOCS_BASE and DOCS_REPOSITORY: docs/.vitepress/config.mjs.
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
for (const name of readdirSync('docs/api', { recursive: true })) {
  if (name.endsWith('.md')) rewrite(`docs/api/${name}`, joinThrows);
}
run('vitepress/bin/vitepress.js', 'build');
buildDemo();

function rewrite(file, change) {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

/** TypeDoc gives each error of a call a heading; one list is easier to read. */
function joinThrows(text) {
  return text.replace(/(?:^#+ Throws\n\n(?:(?!#).*\n)+?\n*(?=#|\*\*\*|$(?![\s\S])))+/gm, (sections) => {
    const [heading] = sections.match(/^#+ Throws/);
    const errors = sections.split(/^#+ Throws$/m).slice(1);
    return `${heading}\n\n${errors.map((error) => `- ${error.trim()}\n`).join('')}\n`;
  });
}

/** The example page with all that it loads in one folder, so that it works below any path. */
function buildDemo() {
  const isNoText = (path) => !path.endsWith('.md');
  const demo = `${site}/demo`;
  cpSync('examples/page', demo, { recursive: true, filter: isNoText });
  const copies = [
    ['dist/browser', 'fqvit'],
    ['models', 'models'],
    ['training/weights', 'weights'],
    ['examples/chelsea.png', 'chelsea.png'],
  ];
  for (const [from, to] of copies) cpSync(from, `${demo}/${to}`, { recursive: true, filter: isNoText });
  for (const script of ['page.js', 'worker.js']) {
    rewrite(`${demo}/${script}`, (text) => {
      const moved = copies.reduce(
        (moving, [from, to]) => moving.replaceAll(`'../../${from}`, `'./${to}`),
        text.replaceAll("'../chelsea.png'", "'./chelsea.png'"),
      );
      if (moved.includes("'../")) throw new Error(`${script}: expected no path outside the page, found one`);
      return moved;
    });
  }
}
