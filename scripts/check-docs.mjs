// `npm run docs:check [-- PAGE...]`: runs the shell commands of README.md and the other pages as a
// new user would, in the order of each page, and compares their output with what the page shows.
// Exits with 1 if a command fails or prints something else. Needs bash, curl, git, redis-server,
// port 8080 and an npm registry. test/docs/pages.test.ts checks every command for its options, also
// those that are skipped here.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readBlocks, shows } from './check-docs/pages.mjs';
import { Shell } from './check-docs/run.mjs';
import { setup } from './setup.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
setup();
const { startServers, supplyFiles } = await import('./check-docs/world.mjs');

/** What cannot run here, as `PAGE: COMMAND`, and why. A page skips a block with
 * `<!-- docs:check skip: REASON -->` before it. */
const SKIPPED = [
  [/: npm test\b|jest\.js/, 'the suite: CI runs it'],
  [/: git clone ADDRESS/, 'the address of the repository is unknown'],
  [/\bdocker\b/, 'needs Docker'],
  [/\bwrangler\b/, 'deploys'],
  [/: redis-server\b/, 'a Redis runs already'],
  [/: npx serve\b/, 'any static server'],
  [/^bench\/peers\//, 'needs TensorFlow and other runtimes, 3 GB'],
  [/: (node bench\/|npm run (fuzz|conformance)\b(?!.*--help))/, 'takes long'],
  [/: training\//, 'trains for hours'],
  [/: npm run docs/, 'another check of the docs'],
  [/: deno\b/, 'Deno is not installed', () => !isInstalled('deno')],
  [/: bun\b/, 'Bun is not installed', () => !isInstalled('bun')],
];

/** What a page cannot know about this machine. */
const REPLACED = [
  [/redis:\/\/[\w.-]+(:\d+)?/g, () => servers.env.REDIS_URL],
  [/--host 0\.0\.0\.0/g, () => '--host 127.0.0.1'],
  // not published
  [/(?<=\bnpm (?:install|i)(?: [^\n]*)? )(?:\S*\/)?fqvit(?:-[\d.]+\.tgz)?(?=\s|$)/g, () => tarball],
];

/** Commands of a clone; all others run in the folder of a user. */
const IN_CLONE = /\bnpm (run|test)\b|\bnode (--\S+ )*(bench|examples|scripts|test)\/|^training\//;
/** A page with one of these shows how to set a clone up. */
const SETS_UP = /\bnpm (run (build|classify)|install (?!--no-save|.*\bfqvit\b))/;
const CLONE_PAGES = /^(CONTRIBUTING\.md$|bench\/|examples\/|training\/|models\/)/;

const isInstalled = (name) => spawnSync('which', [name]).status === 0;

const folder = mkdtempSync(join(tmpdir(), 'fqvit-docs-'));
const counts = { run: 0, skipped: 0, failed: 0, compared: 0 };
let tarball;
let servers;
try {
  const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder];
  tarball = join(folder, execFileSync('npm', pack, { encoding: 'utf8' }).trim());
  servers = await startServers();
  const env = environment();
  const pages = process.argv.length > 2 ? process.argv.slice(2) : listPages();
  for (const page of pages) await checkPage(page, env);
} finally {
  await servers?.close();
  rmSync(folder, { recursive: true, force: true });
}
const { run, compared, skipped, failed } = counts;
console.log(`${run} run, ${skipped} skipped, ${failed} failed; ${compared} outputs compared`);
process.exit(failed > 0 || run === 0 ? 1 : 0);

function listPages() {
  const args = ['ls-files', '--cached', '--others', '--exclude-standard', 'README.md', '*.md'];
  const files = execFileSync('git', args, { encoding: 'utf8' }).split('\n');
  return files.filter((file) => file !== '' && existsSync(file));
}

/** That of a new user, but with npm's settings and cache, and none of what `npm run` adds. */
function environment() {
  const home = join(folder, 'home');
  mkdirSync(home);
  // curl otherwise succeeds whatever the service answers
  writeFileSync(join(home, '.curlrc'), 'fail-with-body\nsilent\nshow-error\n');
  const isOfNpmRun = /^(npm_(lifecycle|package|command|execpath|node|config_(local_)?prefix)|INIT_CWD$)/;
  const inherited = Object.entries(process.env).filter(([name]) => !isOfNpmRun.test(name));
  const npm = (name) => execFileSync('npm', ['config', 'get', name], { encoding: 'utf8' }).trim();
  return {
    ...Object.fromEntries(inherited),
    ...servers.env,
    npm_config_cache: npm('cache'),
    npm_config_userconfig: npm('userconfig'),
    PATH: process.env.PATH.split(':')
      .filter((path) => !path.includes('node_modules'))
      .join(':'),
    HOME: home,
    CURL_HOME: home,
    XDG_CACHE_HOME: join(home, '.cache'),
    HF_HOME: join(home, 'hf'),
    NO_COLOR: '1',
    NO_PROXY: '127.0.0.1,localhost',
  };
}

async function checkPage(page, env) {
  const blocks = readBlocks(page);
  if (blocks.length === 0) return;
  const all = blocks.flatMap(({ commands }) => commands);
  const text = all.map((command) => command.text).join('\n');
  const state = join(folder, 'state');
  const user = new Shell(userFolder(page, text, env), env, state);
  const clone = new Shell(undefined, env, state);
  for (const { commands, skip, output } of blocks) {
    let printed = '';
    const before = counts.failed;
    for (const command of commands) {
      const reason = skip ?? reasonToSkip(page, command.text);
      if (reason !== undefined) report('skipped', page, command, reason);
      else {
        const shell = CLONE_PAGES.test(page) || IN_CLONE.test(command.text) ? clone : user;
        if (shell === clone) clone.cwd ??= cloneFolder(page, text, env);
        const later = all.slice(all.indexOf(command) + 1).map((next) => next.text);
        printed += await runCommand(shell, page, command, { text, later: later.join('\n') });
      }
    }
    if (output === undefined || printed === '' || counts.failed > before) continue;
    counts.compared++;
    if (!shows(printed, output, page === 'README.md'))
      report('failed', page, commands.at(-1), `expected\n${output}\nfound\n${printed}`);
  }
  await user.stop();
  await clone.stop();
}

/** @returns what it printed */
async function runCommand(shell, page, command, { text, later }) {
  supplyFiles(command.text, shell.cwd, text);
  const replaced = REPLACED.reduce((now, [pattern, by]) => now.replace(pattern, by), command.text);
  const start = performance.now();
  const { succeeded, output } = await shell.run(replaced, later);
  const seconds = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  report(succeeded ? 'run' : 'failed', page, command, succeeded ? seconds : output);
  return output;
}

function reasonToSkip(page, text) {
  const line = `${page}: ${text}`;
  return SKIPPED.find(([pattern, , when]) => pattern.test(line) && when?.() !== false)?.[1];
}

/** An empty folder, in which the package is installed unless the page does that. */
function userFolder(page, text, env) {
  const app = join(folder, page.replace(/\W+/g, '-'));
  const installed = join(folder, 'installed');
  if (/^npm install (?!-).*\bfqvit\b/m.test(text)) mkdirSync(app);
  else {
    if (!existsSync(installed)) {
      mkdirSync(installed);
      execFileSync('npm', ['install', '--silent', tarball], { cwd: installed, env });
    }
    cpSync(installed, app, { recursive: true, verbatimSymlinks: true });
  }
  return app;
}

/** The files of the repository as they are now, set up unless the page does that. */
function cloneFolder(page, text, env) {
  const clone = join(folder, 'clones', page.replace(/\W+/g, '-'));
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', args, { encoding: 'utf8' }).split('\0');
  for (const file of files) {
    if (file === '' || !existsSync(file)) continue;
    mkdirSync(join(clone, dirname(file)), { recursive: true });
    cpSync(file, join(clone, file));
  }
  if (!SETS_UP.test(text)) execFileSync('npm', ['run', 'classify'], { cwd: clone, env, stdio: 'pipe' });
  return clone;
}

function report(result, page, { text, line }, detail) {
  counts[result]++;
  const command = text.replace(/\s+#.*$/gm, '').replace(/\s*\\?\n\s*/g, ' ');
  console.log(`${result.padEnd(8)} ${page}:${line}  ${command}  (${detail.trim()})`);
}
