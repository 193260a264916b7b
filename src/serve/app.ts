import { type Context, Hono, type MiddlewareHandler } from 'hono';
import { getPath } from 'hono/utils/url';
import { ImageError } from '../errors.js';
import type { ModelInfo } from '../model/model.js';
import type { Prediction } from '../model/predict.js';
import { sha256 } from '../platform/sha256.js';
import { formatValue } from '../text/format-value.js';
import { Admission } from './admission.js';
import { refuseCodings } from './body.js';
import { Deadline } from './deadline.js';
import { eachOf } from './each-of.js';
import { Gate } from './gate.js';
import { type Asked, type Posted, readImages, readImagesInSlices, topOf } from './images.js';
import { isLarge } from './large.js';
import { openApi } from './openapi.js';
import { Problem, problemOf, stoppingProblem } from './problem.js';
import { Account, Receiving, type ReceivingLimits } from './receiving.js';
import { inSlices } from './slices.js';
import { PAGE, SCRIPT, STYLE } from './try-page.js';

/** What answers requests: a `Pool` or a `Model`. */
export interface Classifier {
  /** Describes the model. */
  readonly info: Pick<ModelInfo, 'architecture' | 'labels' | 'output' | 'bytes' | 'tier'>;
  /** Classifies an encoded image; returns the likeliest classes, best first. */
  classify(image: Uint8Array, options: ClassifierOptions): Promise<Prediction[]>;
}

/** What the app passes to its {@link Classifier} with each image. */
export interface ClassifierOptions {
  /** Number of classes to return. */
  readonly top: number;
  /** Images with more pixels are refused. */
  readonly maxPixels: number;
  /** Milliseconds left for the image. A `Model` has only `signal`. */
  readonly limitMs: number;
  /** Aborts when the request times out or the client leaves. */
  readonly signal: AbortSignal;
}

/** What {@link createApp} takes besides the model. */
export interface AppOptions {
  /** How answers name the model. Default: its architecture. */
  name?: string;
  /** Bytes of a request body. Default 10 MiB. */
  maxBytes?: number;
  /** Pixels of an image. Default 50 million. */
  maxPixels?: number;
  /** Images per request. Default 32. */
  maxImages?: number;
  /**
   * Images of all requests that wait or are computed, once their bodies have arrived. Requests
   * beyond get 503 at once. Default 128.
   */
  queue?: number;
  /** Limits on bodies that are still arriving. These take no place in the queue. */
  receiving?: ReceivingLimits;
  /** Milliseconds per request; its body must arrive in the first half. Default 30,000. */
  timeoutMs?: number;
  /** Images that are computed at a time: the number of workers of a pool. Default 1. */
  parallel?: number;
  /** Fetches an image by its address for a client. Default: the service refuses addresses. */
  fetchImage?: (url: URL, limits: FetchLimits) => Promise<Uint8Array>;
  /**
   * What clients must send as `Authorization: Bearer` to `/v1/…` and `/metrics`. Default: nothing.
   */
  token?: string;
  /** Called with every answer. */
  onAnswer?: (answer: Answer) => void;
  /** Writes the metrics of `/metrics`. Default: there is no such path. */
  metrics?: {
    /** The content type of the text. */
    readonly contentType: string;
    /**
     * Writes the text.
     *
     * @param inside images that wait or are computed
     * @param receiving bodies that are arriving, and bytes of all requests
     */
    text(inside: number, receiving: { readonly bodies: number; readonly bytes: number }): Promise<string>;
  };
  /** Tells whether the service is about to end; it then refuses new images. */
  isStopping?: () => boolean;
}

/** The limits on an image that the service fetches for a client. */
export interface FetchLimits {
  /** Size of the image, in bytes. */
  readonly maxBytes: number;
  /** Aborts when the request times out or the client leaves. */
  readonly signal: AbortSignal;
  /** Call it with the number of bytes as they arrive; it throws if the service has no room. */
  readonly take?: (bytes: number) => void;
}

/** One answer, for logs and metrics. */
export interface Answer {
  /** The `X-Request-Id` of the client, or a new one. */
  readonly id: string;
  /** The HTTP method. */
  readonly method: string;
  /** The path, or `other` for one that the service does not have. */
  readonly route: string;
  /** The HTTP status. */
  readonly status: number;
  /** Time from the request to the answer, in milliseconds. */
  readonly ms: number;
  /** Number of images that were classified. */
  readonly images: number;
  /** Number of images that were refused. */
  readonly refused: number;
  /** Code of the problem, if the answer is one. */
  readonly code?: string;
  /** The cause of a 500. */
  readonly error?: unknown;
}

/** What a request contributes to the log. */
interface Env {
  Variables: { images: number; refused: number; problem?: Problem };
}

type Result = { name?: string } & (
  | { predictions: readonly Prediction[] }
  | { error: { code: string; message: string } }
);

const MIB = 2 ** 20;

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
  const { maxBytes = 10 * MIB, maxPixels = 50e6, maxImages = 32, queue = 128, timeoutMs = 30_000 } = options;
  const { parallel = 1, token, metrics, isStopping = () => false, onAnswer = () => {} } = options;
  const admission = new Admission(queue);
  const receiving = new Receiving(options.receiving ?? {}, isStopping);
  const parsing = new Gate(1);
  const gate = new Gate(parallel);
  // leaves one of several workers free for others
  const largeGate = new Gate(Math.max(1, parallel - 1));
  const model = openedOnce(open);
  const document = JSON.stringify(openApi({ maxBytes, maxImages, hasToken: token !== undefined }));
  const app = new Hono<Env>({ getPath: pathOf });

  app.use(async (c, next) => {
    const start = performance.now();
    const { method } = c.req;
    const id = requestId(c.req.header('x-request-id'));
    c.set('images', 0);
    c.set('refused', 0);
    await next();
    c.header('x-request-id', id);
    c.header('x-content-type-options', 'nosniff');
    if (isStopping()) c.header('connection', 'close');
    const problem = c.get('problem');
    onAnswer({
      id,
      method,
      route: ROUTES.has(c.req.path) ? c.req.path : 'other',
      status: c.res.status,
      ms: performance.now() - start,
      images: c.get('images'),
      refused: c.get('refused'),
      ...(problem === undefined ? {} : { code: problem.code }),
      ...(problem?.status === 500 ? { error: c.error } : {}),
    });
  });
  // Deno and Bun make it part of the address, where a "/" or "?" would change the path
  app.use(async (c, next) => {
    if (!/^[\w.:[\]-]*$/.test(c.req.header('host') ?? '')) {
      throw new Problem(
        400,
        'REQUEST',
        'request: expected a name or address and a port as Host, found another',
      );
    }
    await next();
  });
  const refuse = (c: Context<Env>, problem: Problem) => {
    c.set('problem', problem);
    return problem.toResponse();
  };
  app.onError((error, c) => refuse(c, problemOf(error)));
  app.notFound((c) => {
    const known = ROUTES.get(c.req.path);
    if (known === undefined) return refuse(c, noPath());
    const message = `method: expected ${known}, found ${c.req.method}`;
    return refuse(c, new Problem(405, 'METHOD', message, { allow: known }));
  });

  if (token !== undefined) {
    // compares digests, which takes the same time for any input
    const expected = digest(token);
    const guard: MiddlewareHandler = async (c, next) => {
      const given = /^Bearer +(.+)$/i.exec(c.req.header('authorization') ?? '')?.[1];
      if (given === undefined || (await digest(given)) !== (await expected)) {
        const message = 'authorization: expected the bearer token of the service, found none or another';
        throw new Problem(401, 'TOKEN', message, { 'www-authenticate': 'Bearer' });
      }
      await next();
    };
    app.use('/v1/*', guard);
    app.use('/metrics', guard);
  }

  app.post('/v1/classify', async (c) => {
    if (isStopping()) throw stoppingProblem();
    refuseCodings(c.req.raw.headers);
    admission.check(1);
    const deadline = new Deadline(timeoutMs, c.req.raw.signal);
    const account = new Account(receiving);
    try {
      const start = performance.now();
      const asked = topOf(onlyTop(c.req.queries()));
      const body = await deadline.body((signal) => account.receive(c.req.raw, maxBytes, signal));
      const { images, top } = await parsed(c.req.header('content-type') ?? '', body, deadline.signal);
      return await admission.enter(images.length, async () => {
        const classifier = await model();
        const settings = { top: top ?? asked ?? 5, maxPixels, signal: deadline.signal };
        const compute = (bytes: Uint8Array) =>
          gate.pass(deadline.signal, () =>
            classifier.classify(bytes, { ...settings, limitMs: Math.max(1, deadline.left) }),
          );
        const classify = async ({ name, source }: Posted): Promise<Result> => {
          const label = name === undefined ? {} : { name };
          try {
            const bytes = source instanceof URL ? await fetched(source, deadline.signal, account) : source;
            const predictions = await (isLarge(bytes)
              ? largeGate.pass(deadline.signal, () => compute(bytes))
              : compute(bytes));
            c.set('images', c.get('images') + 1);
            return { ...label, predictions };
          } catch (error) {
            if (!isRefusal(error)) throw error;
            c.set('refused', c.get('refused') + 1);
            if (images.length === 1) throw error;
            return { ...label, error: { code: error.code, message: error.message } };
          }
        };
        const results = await eachOf(images, parallel, classify);
        return c.json({
          model: nameOf(classifier),
          results,
          ms: Math.round(100 * (performance.now() - start)) / 100,
        });
      });
    } finally {
      account.close();
      deadline.end();
    }
  });

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
    const text = await metrics.text(admission.inside, {
      bodies: receiving.coming.size,
      bytes: receiving.bytes,
    });
    return c.body(text, 200, { 'content-type': metrics.contentType });
  });
  app.get('/openapi.json', (c) => c.body(document, 200, { 'content-type': 'application/json' }));
  app.get('/', (c) => c.html(PAGE, 200, { 'content-security-policy': POLICY }));
  app.get('/try.js', (c) => c.body(SCRIPT, 200, { 'content-type': 'text/javascript; charset=utf-8' }));
  app.get('/try.css', (c) => c.body(STYLE, 200, { 'content-type': 'text/css; charset=utf-8' }));
  return app;

  function nameOf({ info }: Classifier): string {
    return options.name ?? info.architecture.name;
  }

  /** Reads long bodies one after the other, so that others are answered in between. */
  async function parsed(type: string, body: Uint8Array, signal: AbortSignal): Promise<Asked> {
    if (body.length < LONG_BODY) return readImages(type, body, maxImages);
    return parsing.pass(signal, () => inSlices(readImagesInSlices(type, body, maxImages)));
  }

  function fetched(url: URL, signal: AbortSignal, account: Account): Promise<Uint8Array> {
    if (options.fetchImage !== undefined) {
      return options.fetchImage(url, { maxBytes, signal, take: (bytes) => account.take(bytes) });
    }
    throw new Problem(
      403,
      'URL',
      'images: expected base64, found an address, which this service does not fetch',
    );
  }
}

/** The routes and methods of the service. */
const ROUTES: ReadonlyMap<string, string> = new Map([
  ['/', 'GET, HEAD'],
  ['/try.js', 'GET, HEAD'],
  ['/try.css', 'GET, HEAD'],
  ['/openapi.json', 'GET, HEAD'],
  ['/healthz', 'GET, HEAD'],
  ['/readyz', 'GET, HEAD'],
  ['/metrics', 'GET, HEAD'],
  ['/v1/models', 'GET, HEAD'],
  ['/v1/classify', 'POST'],
]);

/** Bytes of a form or a document that take milliseconds to read. */
const LONG_BODY = 2 ** 18;

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Without a Host, which HTTP/1.0 allows, Bun's `url` is only the path. */
function pathOf(request: Request): string {
  const { url } = request;
  return getPath(url.startsWith('/') ? ({ url: `http://localhost${url}` } as Request) : request);
}

/** @throws Problem 400 `QUERY` for anything except `top`, once */
function onlyTop(query: Record<string, string[]>): string | undefined {
  for (const [name, values] of Object.entries(query)) {
    if (name === 'top' && values.length === 1) continue;
    throw new Problem(400, 'QUERY', `query: expected top, once, found ${formatValue(name)}`);
  }
  return query.top?.[0];
}

/** Whether the image or its address is at fault, not the service. */
function isRefusal(error: unknown): error is ImageError | Problem {
  return error instanceof ImageError || (error instanceof Problem && /^URL/.test(error.code));
}

/** Opens on the first call, and again after a failure. */
function openedOnce(open: () => Promise<Classifier>): () => Promise<Classifier> {
  let opening: Promise<Classifier> | undefined;
  return () => {
    opening ??= open().catch((error: unknown) => {
      opening = undefined;
      throw error;
    });
    return opening;
  };
}

function noPath(): Problem {
  return new Problem(404, 'PATH', 'path: expected one of the service, found another');
}

/** The client's id, if it is fit for a log. */
function requestId(given: string | undefined): string {
  return given !== undefined && /^[\w.:-]{1,64}$/.test(given) ? given : crypto.randomUUID();
}

const digest = (text: string) => sha256(new TextEncoder().encode(text));
