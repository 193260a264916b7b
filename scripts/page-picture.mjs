// Takes docs/images/page.jpg: the example page with its answer for the photo of a cat. Needs
// `npm run build`, Chromium and playwright-core (test/runtimes installs it).
//   node scripts/page-picture.mjs
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = new URL('..', import.meta.url);
const TYPES = {
  '.html': 'text/html',
  '.css': 'text/css',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
};
const { chromium } = createRequire(new URL('test/runtimes/', root))('playwright-core');

const server = createServer(async (request, response) => {
  const path = new URL(request.url, 'http://localhost').pathname;
  const bytes = await readFile(new URL(`.${path}`, root)).catch(() => undefined);
  const type = TYPES[extname(path)] ?? 'application/octet-stream';
  response.writeHead(bytes ? 200 : 404, { 'content-type': type }).end(bytes);
}).listen(0, '127.0.0.1');
await new Promise((resolve) => server.once('listening', resolve));

const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await browser.newPage({ viewport: { width: 960, height: 700 }, deviceScaleFactor: 1.25 });
await page.goto(`http://127.0.0.1:${server.address().port}/examples/page/index.html`);
await page.click('#example');
await page.waitForFunction(() => document.querySelector('#float-time').textContent.includes('ms'));
await page.waitForTimeout(2000);
const clip = { x: 0, y: 96, width: 960, height: 523 };
const path = fileURLToPath(new URL('docs/images/page.jpg', root));
await page.screenshot({ path, clip, quality: 80 });
await browser.close();
server.close();
