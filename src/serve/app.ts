import { type Context, Hono } from 'hono';
import { requireHost, requireToken } from './auth.js';
import { ClassifyRoute, MAX_BYTES, MAX_IMAGES } from './classify-route.js';
import { type Env, logAnswers } from './logging.js';
import { openApi } from './openapi.js';
import type { AppOptions, Classifier } from './options.js';
import { noPath, noRoute, pathOf } from './paths.js';
import { type Problem, problemOf, stoppingProblem } from './problem.js';
import { PAGE, SCRIPT, STYLE } from './try-page.js';

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * Makes an HTTP service over an integer model, as an app of Hono. `app.fetch` serves in Deno, Bun
 * and workerd, and in Node with `@hono/node-server`. It is what `fqvit serve` runs.
 *
 * @example
 * ```ts
 * import { readFile } from 'node:fs/promises';
 * import { createPool } from 'fqvit/pool';
 * import { createApp } from 'fqvit/serve';
 *
 * const pool = await createPool('deit_cifar10', { workers: 1 });
 * const app = createApp(async () => pool, { parallel: pool.info.workers });
 *
 * // no server is needed to try it
 * const body = await readFile('photo.jpg');
 * const headers = { 'content-type': 'image/png' };
 * const answer = await app.request('/v1/classify?top=1', { method: 'POST', headers, body });
 * console.log(await answer.json());
 * await pool.dispose();
 * ```
 *
 * @example In Deno
 * ```ts no-run
 * import { load } from 'fqvit';
 * import { createApp } from 'fqvit/serve';
 *
 * const app = createApp(() => load('deit_cifar10'));
 * Deno.serve(app.fetch);
 * ```
 *
 * @param open opens the model, with the first request that needs it, and again if that failed
 */
export function createApp(open: () => Promise<Classifier>, options: AppOptions = {}): Hono<Env> {
  const { token } = options;
  const app = new Hono<Env>({ getPath: pathOf });
  app.use(logAnswers(options));
  app.use(requireHost);
  app.onError((error, c) => refuse(c, problemOf(error)));
  app.notFound((c) => refuse(c, noRoute(c.req.path, c.req.method)));
  if (token !== undefined) {
    const guard = requireToken(token);
    app.use('/v1/*', guard);
    app.use('/metrics', guard);
  }
  addModelRoutes(app, openOnce(open), options);
  addPages(app, options);
  return app;
}

function refuse(c: Context<Env>, problem: Problem): Response {
  c.set('problem', problem);
  return problem.toResponse();
}

/** The routes that need the model, or tell about it. */
function addModelRoutes(app: Hono<Env>, model: () => Promise<Classifier>, options: AppOptions): void {
  const { metrics, isStopping = () => false } = options;
  const nameOf = ({ info }: Classifier) => options.name ?? info.architecture.name;
  const route = new ClassifyRoute(model, nameOf, options);
  app.post('/v1/classify', (c) => route.answer(c));
  app.get('/v1/models', async (c) => {
    const classifier = await model();
    const { architecture, labels, output, bytes, tier } = classifier.info;
    const { name, imageSize, classes } = architecture;
    return c.json({
      models: [
        { id: nameOf(classifier), architecture: name, imageSize, classes, output, bytes, tier, labels },
      ],
    });
  });
  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', async (c) => {
    if (isStopping()) throw stoppingProblem();
    await model();
    return c.json({ status: 'ok' });
  });
  app.get('/metrics', async (c) => {
    if (metrics === undefined) throw noPath();
    const text = await metrics.text(route.admission.inside, {
      bodies: route.receiving.coming.size,
      bytes: route.receiving.bytes,
    });
    return c.body(text, 200, { 'content-type': metrics.contentType });
  });
}

/** The OpenAPI document, and a page to try the service. */
function addPages(app: Hono<Env>, { maxBytes = MAX_BYTES, maxImages = MAX_IMAGES, token }: AppOptions): void {
  const document = JSON.stringify(openApi({ maxBytes, maxImages, hasToken: token !== undefined }));
  app.get('/openapi.json', (c) => c.body(document, 200, { 'content-type': 'application/json' }));
  app.get('/', (c) => c.html(PAGE, 200, { 'content-security-policy': POLICY }));
  app.get('/try.js', (c) => c.body(SCRIPT, 200, { 'content-type': 'text/javascript; charset=utf-8' }));
  app.get('/try.css', (c) => c.body(STYLE, 200, { 'content-type': 'text/css; charset=utf-8' }));
}

/** Opens on the first call, and again after a failure. */
function openOnce(open: () => Promise<Classifier>): () => Promise<Classifier> {
  let opening: Promise<Classifier> | undefined;
  return () => {
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
}
