import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { decodeImage } from '../../src/image/decode.js';
import type { SeenPart } from '../../src/image/resize/preprocess.js';
import { load } from '../../src/model/model.js';
import { CHROMIUM, TYPES } from '../runtimes/browser.js';
import { serve } from '../support/loopback.js';
import { describeWith, runtimePath } from '../support/runtimes.js';

/** What is used of playwright-core, which is not installed everywhere. */
interface Page {
  goto(url: string): Promise<unknown>;
  on(event: 'console', listener: (message: { type(): string; text(): string }) => void): void;
  on(event: 'pageerror', listener: (error: Error) => void): void;
  on(event: 'request', listener: (request: { url(): string }) => void): void;
  evaluate<T, A>(run: (argument: A) => T, argument?: A): Promise<Awaited<T>>;
  waitForFunction<A>(run: (argument: A) => unknown, argument: A, options: object): Promise<unknown>;
  textContent(selector: string): Promise<string | null>;
  getAttribute(selector: string, name: string): Promise<string | null>;
  isVisible(selector: string): Promise<boolean>;
  isDisabled(selector: string): Promise<boolean>;
  click(selector: string): Promise<void>;
  selectOption(selector: string, value: string): Promise<unknown>;
  setInputFiles(selector: string, files: string | readonly string[]): Promise<void>;
  keyboard: { press(key: string): Promise<void> };
}
interface Browser {
  newContext(options: object): Promise<{ newPage(): Promise<Page>; close(): Promise<void> }>;
  close(): Promise<void>;
}
interface Playwright {
  chromium: { launch(options: object): Promise<Browser> };
}

const PLAYWRIGHT = runtimePath('playwright-core/index.js');
const root = fileURLToPath(new URL('../../', import.meta.url));
const CAT = 'examples/chelsea.png';
const EXIF = 'test/image/fixtures/exif-6.jpg';
const FLOAT = `${root}training/weights/deit_cifar10.safetensors`;

/** Pearson's. */
function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const centred = (values: ArrayLike<number>) => {
    const list = Array.from(values);
    const mean = list.reduce((sum, value) => sum + value, 0) / list.length;
    return list.map((value) => value - mean);
  };
  const dot = (x: number[], y: number[]) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const [x, y] = [centred(a), centred(b)];
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

describeWith('the page that classifies photos', [CHROMIUM.path, PLAYWRIGHT], () => {
  let policy: string;
  let url: string;
  let closeServer: () => void;
  let browser: Browser;
  /** Until it is called, the second half of the DeiT does not arrive. */
  let release: (() => void) | undefined;
  let gate: Promise<void> | undefined;

  beforeAll(async () => {
    const html = await readFile(`${root}examples/page/index.html`, 'utf8');
    policy = /Content-Security-Policy" content="([^"]*)"/.exec(html)![1]!;
    const server = await serve(async (request, answer) => {
      const path = new URL(request.url!, 'http://localhost').pathname;
      const bytes = await readFile(`${root}${path}`).catch(() => undefined);
      if (bytes === undefined) return void answer.writeHead(404).end();
      // in a header too: a worker does not have the policy of the page's element
      answer.writeHead(200, {
        'content-security-policy': policy,
        'content-type': TYPES[path.split('.').at(-1)!] ?? 'application/octet-stream',
        'content-length': bytes.length,
      });
      const half = path === '/models/deit_cifar10.safetensors' && gate ? bytes.length >> 1 : 0;
      answer.write(bytes.subarray(0, half));
      if (half > 0) await gate;
      answer.end(bytes.subarray(half));
    });
    url = server.url;
    closeServer = server.close;
    const { chromium } = createRequire(import.meta.url)(PLAYWRIGHT) as Playwright;
    const args = ['--disable-gpu', '--disable-background-networking', '--use-fake-device-for-media-stream'];
    browser = await chromium.launch({ executablePath: CHROMIUM.path, args });
  });
  afterAll(async () => {
    await browser?.close();
    closeServer?.();
  });

  const contexts: { close(): Promise<void> }[] = [];
  /** Errors, violations of the policy, requests beyond the server. */
  let problems: string[] = [];
  beforeEach(() => {
    problems = [];
  });
  afterEach(async () => {
    release?.();
    release = gate = undefined;
    for (const context of contexts.splice(0)) await context.close();
    expect(problems).toEqual([]);
  });

  async function open(options: object = {}): Promise<Page> {
    const context = await browser.newContext(options);
    contexts.push(context);
    const page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url()))
        problems.push(request.url());
    });
    await page.goto(`${url}/examples/page/index.html`);
    return page;
  }

  async function until(page: Page, selector: string, pattern: RegExp): Promise<void> {
    const wanted = { selector, source: pattern.source };
    const matches = (w: typeof wanted) =>
      new RegExp(w.source).test(document.querySelector(w.selector)!.textContent!);
    await page.waitForFunction(matches, wanted, { timeout: 20_000 }).catch(async () => {
      throw new Error(`${selector}: expected ${pattern}, found ${await page.textContent(selector)}`);
    });
  }

  /** Drops or pastes files: of the repository, or of a text. */
  async function give(page: Page, event: 'drop' | 'paste', files: readonly (string | { text: string })[]) {
    const given = files.map((file) => (typeof file === 'string' ? { path: `${url}/${file}` } : file));
    await page.evaluate(
      async ({ event, given }) => {
        const data = new DataTransfer();
        for (const file of given as { path?: string; text?: string }[]) {
          const blob = file.path ? await (await fetch(file.path)).blob() : new Blob([file.text!]);
          data.items.add(new File([blob], file.path?.split('/').at(-1) ?? 'text.jpg'));
        }
        const common = { bubbles: true, cancelable: true };
        document
          .querySelector('#stage')!
          .dispatchEvent(
            event === 'drop'
              ? new DragEvent('drop', { ...common, dataTransfer: data })
              : new ClipboardEvent('paste', { ...common, clipboardData: data }),
          );
      },
      { event, given },
    );
  }

  /** The lightness of the map in the middle of each of 8×8 patches, and how many colours it has. */
  const painted = (page: Page) =>
    page.evaluate(() => {
      const canvas = document.querySelector('canvas')!;
      const { data, width } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
      const patch = width / 8;
      const lightness = Array.from({ length: 64 }, (_, i) => {
        const [x, y] = [((i % 8) + 0.5) * patch, (Math.floor(i / 8) + 0.5) * patch];
        const [r, g, b] = data.subarray(4 * (y * width + x)) as unknown as [number, number, number];
        return 0.21 * r + 0.72 * g + 0.07 * b;
      });
      return { lightness, colours: new Set(new Uint32Array(data.buffer)).size };
    });

  /** The picture has the shape of the upright photo, and the map lies on the part that is seen. */
  async function expectPlace(page: Page, part: SeenPart, width: number, height: number): Promise<void> {
    const place = await page.evaluate(() => {
      const [map, picture] = ['#map', '#picture'].map((id) =>
        document.querySelector(id)!.getBoundingClientRect(),
      ) as [DOMRect, DOMRect];
      return {
        ratio: picture.width / picture.height,
        left: (map.left - picture.left) / picture.width,
        top: (map.top - picture.top) / picture.height,
        width: map.width / picture.width,
        height: map.height / picture.height,
      };
    });
    expect(place.ratio).toBeCloseTo(width / height, 1);
    expect(place.left).toBeCloseTo(part.left / width, 2);
    expect(place.top).toBeCloseTo(part.top / height, 2);
    expect(place.width).toBeCloseTo(part.width / width, 2);
    expect(place.height).toBeCloseTo(part.height / height, 2);
  }

  test('a dropped photo: the classes, the map where it belongs, the float model beside', async () => {
    const page = await open();
    await page.evaluate(() => {
      const seen: number[] = [];
      Object.assign(globalThis, { shifts: seen });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) seen.push((entry as unknown as { value: number }).value);
      }).observe({ type: 'layout-shift', buffered: true });
    });
    expect(await page.textContent('#invitation')).toMatch(/never leaves your device/);
    await until(page, '#detail', /^It knows 10 things: airplane, automobile, bird, cat/);
    await give(page, 'drop', [CAT]);
    await until(page, '#agreement', /times as long/);

    expect(await page.textContent('#answer')).toBe('Cat, 78.4 %');
    const rows = await page.evaluate(() =>
      [...document.querySelectorAll('#classes tbody tr')].map((row) =>
        [...row.children].map((cell) => cell.textContent),
      ),
    );
    expect(rows).toHaveLength(5);
    expect(rows[0]).toEqual(['cat', '', '78.4 %']);
    expect(rows[1]).toEqual(['dog', '', '9.1 %']);
    expect(await page.textContent('#float-answer')).toBe('cat, 81.3 %');
    expect(await page.textContent('#agreement')).toMatch(
      /^Both say cat\. Float takes [\d.]+ times as long\.$/,
    );
    for (const id of ['integer', 'float']) {
      expect(await page.textContent(`#${id}-time`)).toMatch(/^\d+(\.\d)? ms$/);
      expect(await page.textContent(`#${id}-memory`)).toMatch(/^\d\.\d\d MB$/);
    }
    expect(await page.textContent('#integer-size')).toBe('1.34 MB');
    expect(await page.textContent('#float-size')).toBe('2.42 MB, f16');
    expect(await page.textContent('#integer-kernels')).toMatch(/^int8, (relaxed )?SIMD$/);

    const model = await load('deit_cifar10');
    const maps: number[][] = [];
    for (const method of ['last', 'rollout'] as const) {
      await page.click(`input[value=${method}] + span`);
      await until(page, '#map-note', method === 'last' ? /the last block/ : /all blocks/);
      await page.waitForFunction(
        (word) => document.querySelector('#map')!.getAttribute('aria-label')!.includes(word),
        method === 'last' ? 'the last block' : 'all blocks',
        { timeout: 20_000 },
      );
      const { weights } = await model.attention(`${root}${CAT}`, { method });
      const { lightness, colours } = await painted(page);
      expect(correlation(lightness, weights)).toBeGreaterThan(0.9);
      expect(colours).toBeGreaterThan(100);
      maps.push(lightness);
    }
    expect(maps[0]).not.toEqual(maps[1]);
    await expectPlace(page, model.seenPart(451, 300), 451, 300);
    expect(await page.getAttribute('#map', 'aria-label')).toMatch(
      /^Attention of all blocks, strongest at the \w+( \w+)? of/,
    );
    await page.click('input[value=off] + span');
    expect(await page.isVisible('#map')).toBe(false);
    expect(await page.isVisible('#picture')).toBe(true);
    expect(await page.evaluate(() => (globalThis as unknown as { shifts: number[] }).shifts)).toEqual([]);

    // one that lies on its side: upright, the map on the part that is seen
    await page.click('input[value=last] + span');
    await give(page, 'paste', [EXIF]);
    await page.waitForFunction(() => !document.querySelector<HTMLElement>('#map')!.hidden, undefined, {
      timeout: 20_000,
    });
    const { width, height } = await decodeImage(await readFile(`${root}${EXIF}`), {});
    await expectPlace(page, model.seenPart(width, height), width, height);
    model.dispose();
  });

  test('while the model loads it says how far it is', async () => {
    gate = new Promise((resolve) => {
      release = resolve;
    });
    const page = await open();
    await give(page, 'drop', [CAT]);
    await until(page, '#answer', /^Loading the model …$/);
    await page.waitForFunction(
      () => Math.abs(document.querySelector('progress')!.value - 0.5) < 0.01,
      undefined,
      { timeout: 20_000 },
    );
    expect(await page.isVisible('#progress')).toBe(true);
    release!();
    await until(page, '#answer', /^Cat/);
    expect(await page.isVisible('#progress')).toBe(false);
  });

  test('what cannot be read is told in plain words, and other photos go on', async () => {
    const page = await open();
    await give(page, 'drop', [{ text: 'no picture' }, CAT]);
    await until(
      page,
      '#answer',
      /^This page reads JPEG, PNG and WebP photos\. This file is something else\.$/,
    );
    expect(await page.textContent('#detail')).toBe(
      'text.jpg: expected a JPEG, PNG or WebP image, found a file that begins with 6e 6f 20 70 69 63 74 75 ("no pictu")',
    );
    expect(await page.isVisible('#frame')).toBe(false);
    await until(page, '#photos', /^not readablecat$/);
    await page.click('#photos li:nth-child(2) button');
    await page.evaluate(() => document.querySelector<HTMLElement>('#photos button')!.focus());
    await until(page, '#answer', /^Cat, 78\.4 %$/);
    expect(await page.getAttribute('#photos li:nth-child(2) button', 'aria-current')).toBe('true');
    // what is found meanwhile leaves the focus where it is
    await until(page, '#agreement', /times as long/);
    expect(await page.evaluate(() => document.activeElement!.closest('ul')?.id)).toBe('photos');
    await page.setInputFiles('#photo-file', `${root}test/image/fixtures/cmyk.jpg`);
    await until(page, '#answer', /^This page cannot read this rare kind of photo\.$/);
    await give(page, 'drop', []);
    await until(page, '#notice-text', /^That contains no file/);
  });

  test('a Swin has no map; a file that is no integer model leaves it as it is', async () => {
    const page = await open();
    await page.click('#example');
    await until(page, '#answer', /^Cat/);
    await page.selectOption('#model', 'swin_cifar10');
    await until(page, '#map-note', /^A Swin has no such map/);
    await until(page, '#agreement', /times as long/);
    expect(await page.textContent('#integer-size')).toBe('1.67 MB');
    expect(await page.isVisible('#map')).toBe(false);
    expect(await page.isDisabled('input[name=method]')).toBe(true);

    await page.setInputFiles('#model-file', FLOAT);
    await until(
      page,
      '#notice-text',
      /^This is not an integer model\. If it is a float checkpoint, quantise it/,
    );
    expect(await page.textContent('#notice-detail')).toMatch(
      /^deit_cifar10\.safetensors: .*this is a float model/,
    );
    await page.click('#close-notice');
    expect(await page.isVisible('#notice')).toBe(false);
    expect(await page.evaluate(() => document.querySelector('select')!.value)).toBe('swin_cifar10');

    await page.setInputFiles('#model-file', `${root}models/deit_cifar10.safetensors`);
    await until(page, '#agreement', /^The comparison works for the bundled models only/);
    await until(page, '#answer', /^Cat, 78\.4 %$/);
    expect(await page.evaluate(() => document.querySelector('select')!.value)).toBe(
      'deit_cifar10.safetensors',
    );
  });

  test('the camera: a still, or why not', async () => {
    const denied = await open();
    await denied.click('#open-camera');
    await until(denied, '#camera-note', /^The browser does not allow the camera\. You can allow it/);
    expect(await denied.isDisabled('#take')).toBe(true);
    await denied.keyboard.press('Escape');
    expect(await denied.isVisible('#camera')).toBe(false);

    const page = await open({ permissions: ['camera'] });
    await page.click('#open-camera');
    await page.waitForFunction(
      () => !document.querySelector<HTMLButtonElement>('#take')!.disabled,
      undefined,
      {
        timeout: 20_000,
      },
    );
    await page.keyboard.press('Enter');
    await until(page, '#answer', /%$/);
    expect(await page.isVisible('#camera')).toBe(false);
    expect(await page.evaluate(() => document.querySelector('video')!.srcObject)).toBeNull();
    expect(await page.getAttribute('#picture', 'alt')).toBe('Your photo, camera.jpg');
  });

  test('names, headings, focus, a narrow screen, reduced motion, the policy', async () => {
    const page = await open({ viewport: { width: 360, height: 740 }, reducedMotion: 'reduce' });
    await give(page, 'drop', [CAT, EXIF]);
    await until(page, '#agreement', /times as long/);
    const found = await page.evaluate(() => {
      const named = (element: Element) =>
        element.getAttribute('aria-label') ||
        (element as HTMLInputElement).labels?.[0]?.textContent?.trim() ||
        (element.matches('button') && element.textContent?.trim());
      const all = (selector: string) => [...document.querySelectorAll(selector)];
      return {
        language: document.documentElement.lang,
        headings: all('h1').length,
        nameless: all('input, select, button, progress, video')
          .filter((one) => !named(one))
          .map((one) => one.outerHTML),
        pictures: all('img').filter((one) => !one.hasAttribute('alt')).length,
        photo: document.querySelector('#picture')!.getAttribute('alt'),
        headers: all('table').map((table) => [
          table.querySelectorAll('th[scope=col]').length,
          table.querySelectorAll('tbody th[scope=row]').length,
          table.querySelector('caption')!.textContent,
        ]),
        live: document.querySelector('#answer')!.closest('[role=status]') !== null,
        doubled: all('[id]').length - new Set(all('[id]').map(({ id }) => id)).size,
        width: document.documentElement.scrollWidth,
        transition: getComputedStyle(document.querySelector('.filled')!).transitionDuration,
      };
    });
    expect(found).toEqual({
      language: 'en',
      headings: 1,
      nameless: [],
      pictures: 0,
      photo: 'Your photo, chelsea.png',
      headers: [
        [2, 5, 'Likeliest classes'],
        [2, 5, 'Integer and float'],
      ],
      live: true,
      doubled: 0,
      width: 360,
      transition: '0s',
    });
    // every control is reached by the keyboard, in the order of the page, and shows it
    const reached: string[] = [];
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
    for (let i = 0; i < 8; i++) {
      await page.keyboard.press('Tab');
      reached.push(
        await page.evaluate(() => {
          const at = document.activeElement as HTMLInputElement;
          const shown = at.type === 'radio' ? at.nextElementSibling! : at;
          const { outlineStyle, outlineWidth } = getComputedStyle(shown);
          return `${at.id || at.name || at.closest('ul')?.id} ${outlineStyle} ${outlineWidth}`;
        }),
      );
    }
    expect(reached).toEqual(
      ['choose', 'open-camera', 'example', 'method', 'photos', 'photos', 'model', 'choose-model'].map(
        (id) => `${id} solid 3px`,
      ),
    );

    // the policy is the documented one, and what is against it is noticed here
    expect(policy).toBe(
      "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; media-src blob:",
    );
    await page.evaluate(() => fetch('https://example.com/').catch(() => {}));
    expect(problems.splice(0).join()).toMatch(/Content Security Policy/);
  });
});
