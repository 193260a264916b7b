// `npm run docs`: builds the docs site, the guide with the API reference and the example page as a
// demo, into docs/.site. DOCS_BASE and DOCS_REPOSITORY: docs/.vitepress/config.mjs.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { setup } from './setup.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const site = 'docs/.site';

setup();
if (!existsSync('docs/node_modules')) {
  const options = { shell: process.platform === 'win32' };
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], options);
}
rmSync('docs/api', { recursive: true, force: true });
run(process.execPath, ['node_modules/typedoc/bin/typedoc']);
for (const name of readdirSync('docs/api', { recursive: true })) {
  if (name.endsWith('.md')) rewrite(`docs/api/${name}`, tidy);
}
run(process.execPath, ['node_modules/vitepress/bin/vitepress.js', 'build']);
buildDemo();

function run(command, args, options) {
  const { status } = spawnSync(command, args, { cwd: 'docs', stdio: 'inherit', ...options });
  if (status !== 0) process.exit(1);
}

function rewrite(file, change) {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

/**
 * Joins the errors of a call, which have a heading each, in one list; empties cells with a dash.
 */
function tidy(text) {
  let isThrows = false;
  const sections = text.split(/^(?=#)/m).map((section) => {
    const [, heading, error] = /^(#+ Throws\n\n)([\s\S]*)$/.exec(section) ?? [];
    const isFirst = !isThrows;
    isThrows = heading !== undefined;
    if (!isThrows) return section;
    return isFirst ? `${heading}- ${error}` : `- ${error}`;
  });
  return sections.join('').replaceAll('| - |', '| |');
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
