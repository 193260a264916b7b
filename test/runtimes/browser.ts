/** Pages in a real browser, from a server on this machine. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { serve } from '../support/loopback.js';

export interface Browser {
  readonly path: string;
  /** What makes it open a page without a window; the last is completed by the folder of its profile. */
  readonly flags: readonly string[];
}

/** Where Debian has them. */
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

/** By the end of a file's name. */
export const TYPES: Record<string, string> = {
  css: 'text/css',
  html: 'text/html',
  js: 'text/javascript',
  mjs: 'text/javascript',
  wasm: 'application/wasm',
};

/** What a page may do: load from its own server and compile WebAssembly; no `eval`, no inline script. Threads need the last two. */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
};

/** How long a page may take. */
const PATIENCE = 90_000;

/**
 * Opens a page and waits until it posts to `/result`.
 *
 * @param browser that opens it
 * @param folder what the server serves
 * @param page path and parameters
 * @param mounts further folders, by the first part of the path
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
  // with a group of its own: its processes write to the profile, and not all end with the first
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
