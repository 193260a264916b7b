/** Opens pages in a real browser, from a server on this machine. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { serve } from '../support/loopback.js';

export interface Browser {
  readonly path: string;
  /** Open a page without a window; the last one is completed by the folder of the profile. */
  readonly flags: readonly string[];
}

/** The paths on Debian. */
export const CHROMIUM: Browser = {
  path: '/usr/bin/chromium',
  flags: [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--user-data-dir=',
  ],
};
export const FIREFOX: Browser = {
  path: '/usr/bin/firefox-esr',
  flags: ['--headless', '--no-remote', '--profile', ''],
};

/** By file extension. */
export const TYPES: Record<string, string> = {
  css: 'text/css',
  html: 'text/html',
  js: 'text/javascript',
  mjs: 'text/javascript',
  wasm: 'application/wasm',
};

/**
 * A page may load from its own server and compile WebAssembly; no `eval`, no inline script. Threads
 * need the last two headers.
 */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/** The longest that a page may take, in ms. */
const PATIENCE = 90_000;

/**
 * Opens a page and waits until it posts to `/result`.
 *
 * @param browser opens it
 * @param folder what the server serves
 * @param page path and parameters
 * @param mounts more folders, by the first part of the path
 * @returns what it posted
 */
export async function openPage(
  browser: Browser,
  folder: string,
  page: string,
  mounts: Record<string, string> = {},
): Promise<unknown> {
  let post: (result: unknown) => void;
  const posted = new Promise<unknown>((resolve) => {
    post = resolve;
  });
  const server = await serve(async (request, answer) => {
    const path = decodeURIComponent(new URL(request.url!, 'http://localhost').pathname);
    if (request.method === 'POST') {
      post(JSON.parse(await text(request)));
      answer.end();
      return;
    }
    const [, mount = '', rest = ''] = /^\/([^/]*)\/?(.*)$/.exec(path)!;
    const file = mount in mounts ? join(mounts[mount]!, rest) : join(folder, path);
    const type = TYPES[file.split('.').at(-1)!] ?? 'application/octet-stream';
    await readFile(file).then(
      (bytes) => answer.writeHead(200, { ...HEADERS, 'content-type': type }).end(bytes),
      () => answer.writeHead(404, HEADERS).end(),
    );
  });
  const profile = mkdtempSync(join(tmpdir(), 'fqvit-browser-'));
  const flags = [...browser.flags.slice(0, -1), `${browser.flags.at(-1)}${profile}`];
  // in its own process group: not all of its processes end with the first, and all write to the
  // profile
  const running = spawn(browser.path, [...flags, `${server.url}/${page}`], {
    stdio: 'ignore',
    detached: true,
  });
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, reject) => {
      running.once('exit', (code) => reject(new Error(`the browser ended with ${code}`)));
      timer = setTimeout(() => reject(new Error(`no result after ${PATIENCE} ms`)), PATIENCE);
    });
    return await Promise.race([posted, late]);
  } finally {
    clearTimeout(timer);
    running.removeAllListeners('exit');
    const ended = new Promise((resolve) => running.once('exit', resolve));
    if (running.exitCode === null && running.signalCode === null && running.pid !== undefined) {
      process.kill(-running.pid, 'SIGKILL');
      await ended;
    }
    server.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  }
}
