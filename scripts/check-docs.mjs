// `npm run docs:check [-- PAGE...]`: runs the shell commands of README.md and the other pages as a
// new user would, in the order of each page, and compares their output with what the page shows.
// Exits with 1 if a command fails or prints something else. Needs bash, curl, git, redis-server
// and an npm registry. pages.test.ts in test/docs checks the commands that are skipped here.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readBlocks, shows } from './check-docs/pages.mjs';
import { setup } from './setup.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
setup();
const { startServers, supplyFiles } = await import('./check-docs/world.mjs');

/** What cannot run here, and why. For single blocks: `<!-- docs:check skip: REASON -->`. */
const SKIPPED = [
  [/^npm test\b|jest\.js/, 'the suite: CI runs it'],
  [/^git clone ADDRESS/, 'the address of the repository is unknown'],
  [/\bdocker\b/, 'needs Docker'],
  [/\bwrangler\b/, 'deploys'],
  [/^node bench\/|^npm run (fuzz|conformance)\b(?!.*--help)/, 'takes long; its options are checked'],
  [/^training\//, 'trains for hours'],
  [/^npm run docs:check/, 'this'],
  [/\bbench\/peers\b|venv\/bin|^node (make_checkpoints|verify)\.mjs/, 'needs TensorFlow and other runtimes'],
  [/^npx serve\b/, 'any static server'],
  [/^(\w+)\b/, '', (word) => /^(bun|deno)$/.test(word) && !isInstalled(word) && `${word} is not installed`],
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
const CLONE_PAGES = /^(CONTRIBUTING\.md$|bench\/|examples\/|training\/|models\/)/;

const SERVERS = /\b(fqvit serve|workerd serve|http\.server|fqvit work(?!.*--drain))(?!.*--help)/;
const LIMIT_MS = 600_000;

const isInstalled = (name) => spawnSync('which', [name]).status === 0;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const split = (entry) => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)];
const npmConfig = (name) => execFileSync('npm', ['config', 'get', name], { encoding: 'utf8' }).trim();

const NPM = { npm_config_cache: npmConfig('cache'), npm_config_userconfig: npmConfig('userconfig') };

const folder = mkdtempSync(join(tmpdir(), 'fqvit-docs-'));
const counts = { run: 0, skipped: 0, failed: 0 };
let tarball;
let servers;
/** Ends the servers that the commands of a page started. */
let stopServers = [];

try {
  mkdirSync(join(folder, 'home'));
  // curl otherwise succeeds whatever the service answers
  writeFileSync(join(folder, 'home/.curlrc'), 'fail-with-body\nsilent\nshow-error\n');
  const pack = ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder];
  tarball = join(folder, execFileSync('npm', pack, { encoding: 'utf8' }).trim());
  servers = await startServers();
  for (const page of process.argv.length > 2 ? process.argv.slice(2) : listPages()) await checkPage(page);
} finally {
  await servers?.close();
  rmSync(folder, { recursive: true, force: true });
}
console.log(`${counts.run} run, ${counts.skipped} skipped, ${counts.failed} failed`);
process.exit(counts.failed > 0 || counts.run === 0 ? 1 : 0);

function listPages() {
  const docs = readdirSync('docs').filter((name) => name.endsWith('.md'));
  const examples = readdirSync('examples').map((name) => `examples/${name}/README.md`);
  return [
    'README.md',
    ...docs.map((name) => `docs/${name}`),
    ...examples.filter((path) => existsSync(path)),
    'CONTRIBUTING.md',
    'bench/peers/README.md',
    'training/README.md',
    ...readdirSync('models').flatMap((name) => (name.endsWith('.md') ? [`models/${name}`] : [])),
  ];
}

async function checkPage(page) {
  const blocks = readBlocks(page);
  if (blocks.length === 0) return;
  const all = blocks.flatMap(({ commands }) => commands.map(({ text }) => text));
  const installs = all.some((text) => /^npm install [^-]*\bfqvit\b/.test(text));
  const user = { cwd: userFolder(page, installs), env: environment() };
  const clone = { cwd: '', env: environment() };
  for (const { commands, skip, output } of blocks) {
    let printed = '';
    let isWhole = true;
    for (const { text, line } of commands) {
      const place = `${page}:${line}`;
      const reason = skip ?? reasonToSkip(text);
      if (reason !== undefined) {
        report('skipped', place, text, reason);
        isWhole = false;
        continue;
      }
      const isOfClone = CLONE_PAGES.test(page) || IN_CLONE.test(text);
      if (isOfClone && clone.cwd === '') clone.cwd = cloneFolder();
      const later = all.slice(all.indexOf(text) + 1).join('\n');
      printed += await runCommand(text, isOfClone ? clone : user, { place, later, page: all.join('\n') });
    }
    if (output === undefined || (printed === '' && !isWhole)) continue;
    const isSame = shows(printed, output, page === 'README.md');
    if (!isSame)
      report(
        'failed',
        `${page}:${commands.at(-1).line}`,
        'the output',
        `expected\n${output}\nfound\n${printed}`,
      );
  }
  for (const stop of stopServers) await stop();
  stopServers = [];
}

function reasonToSkip(text) {
  for (const [pattern, reason, when] of SKIPPED) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const found = when ? when(match[1]) : reason;
    if (found) return found;
  }
  return undefined;
}

/** An empty folder, in which the package is installed unless the page does that. */
function userFolder(page, installs) {
  const app = join(folder, page.replace(/\W+/g, '-'));
  const installed = join(folder, 'installed');
  if (installs) mkdirSync(app);
  else {
    if (!existsSync(installed)) {
      mkdirSync(installed);
      execFileSync('npm', ['install', '--silent', tarball], { cwd: installed, env: environment() });
    }
    cpSync(installed, app, { recursive: true, verbatimSymlinks: true });
  }
  return app;
}

/** The tracked files as they are now, not yet set up. */
function cloneFolder() {
  const clone = join(folder, 'clone');
  if (existsSync(clone)) return clone;
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', args, { encoding: 'utf8', maxBuffer: 2 ** 26 }).split('\0');
  for (const file of files.filter((name) => name !== '' && existsSync(name))) {
    mkdirSync(join(clone, dirname(file)), { recursive: true });
    cpSync(file, join(clone, file));
  }
  return clone;
}

/** That of a user, without what `npm run` adds, and with npm's own settings and cache. */
function environment() {
  const isOfNpmRun = /^(npm_(lifecycle|package|command|execpath|node|config_(local_)?prefix)|INIT_CWD$)/;
  const kept = Object.entries(process.env).filter(([name]) => !isOfNpmRun.test(name));
  const paths = process.env.PATH.split(':').filter((path) => !path.includes('node_modules'));
  const home = join(folder, 'home');
  return {
    ...Object.fromEntries(kept),
    ...NPM,
    ...servers.env,
    PATH: paths.join(':'),
    HOME: home,
    CURL_HOME: home,
    XDG_CACHE_HOME: join(home, '.cache'),
    HF_HOME: join(home, 'hf'),
    NO_COLOR: '1',
    NO_PROXY: '127.0.0.1,localhost',
  };
}
/** Runs one command where the last one ended: `where` is its folder and environment. */
async function runCommand(text, where, { place, later, page }) {
  supplyFiles(text, where.cwd, page);
  const command = REPLACED.reduce((now, [pattern, by]) => now.replace(pattern, by), text);
  if (SERVERS.test(text)) return startServer(command, where, { place, later });
  const state = join(folder, 'state');
  const script = `set -eo pipefail\n${command}\n{ pwd; env -0; } > '${state}'`;
  const start = performance.now();
  const { code, output } = await run(script, where).ended;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (code === 0) {
    const [cwd, ...lines] = readFileSync(state, 'utf8').split('\n');
    const entries = lines
      .join('\n')
      .split('\0')
      .filter((entry) => entry !== '');
    Object.assign(where, { cwd, env: Object.fromEntries(entries.map(split)) });
    report('run', place, text, `${seconds} s`);
  } else report('failed', place, text, `exit code ${code}\n${output}`);
  return output;
}

/** Starts a program of its own process group. `ended` has its exit code and all that it printed. */
function run(script, { cwd, env }) {
  const child = spawn('bash', ['-c', script], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // it ended
    }
  };
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const timer = setTimeout(() => kill('SIGKILL'), LIMIT_MS);
  const ended = new Promise((resolve) => {
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      // what it started and left behind holds the pipes
      setTimeout(() => resolve({ code: code ?? signal, output }), 50);
    });
  });
  return { ended, kill };
}

/** Runs until the page ends, or another server takes its place. */
async function startServer(command, where, { place, later }) {
  for (const stop of stopServers) await stop();
  stopServers = [];
  const port = Number(
    /(?:localhost|127\.0\.0\.1):(\d+)/.exec(later)?.[1] ?? /--port[ =](\d+)/.exec(command)?.[1] ?? 8080,
  );
  if (await answers(port)) {
    report('failed', place, command, `port ${port} is in use`);
    return '';
  }
  const { ended, kill } = run(command, where);
  let result;
  ended.then((value) => {
    result = value;
  });
  const isWorker = command.includes('fqvit work');
  const end = performance.now() + (isWorker ? 3000 : 60_000);
  while (result === undefined && performance.now() < end && (isWorker || !(await answers(port))))
    await pause(100);
  if (result !== undefined || (!isWorker && !(await answers(port)))) {
    kill('SIGKILL');
    report('failed', place, command, `it did not listen on port ${port}\n${(await ended).output}`);
    return '';
  }
  report('run', place, command, 'a server');
  stopServers.push(async () => {
    kill('SIGTERM');
    const timer = setTimeout(() => kill('SIGKILL'), 15_000);
    await ended;
    clearTimeout(timer);
  });
  return '';
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true));
    socket.on('error', () => resolve(false));
    socket.on('close', () => {});
    socket.on('connect', () => socket.destroy());
  });
}

function report(result, place, text, detail) {
  counts[result]++;
  console.log(`${result.padEnd(8)} ${place}  ${text.replace(/\s*\\?\n\s*/g, ' ')}  (${detail.trim()})`);
}
