import type { Context } from 'hono';
import { ImageError } from '../errors.js';
import type { Prediction } from '../model/predict.js';
import { formatValue } from '../text/format-value.js';
import { Admission } from './admission.js';
import { refuseCodings } from './body.js';
import { Deadline } from './deadline.js';
import { eachOf } from './each-of.js';
import { Gate } from './gate.js';
import { type Asked, type Posted, readImages, readImagesInSlices, topOf } from './images.js';
import { isLarge } from './large.js';
import type { Env } from './logging.js';
import type { AppOptions, Classifier } from './options.js';
import { Problem, stoppingProblem } from './problem.js';
import { Account, Receiving } from './receiving.js';
import { inSlices } from './slices.js';

type Result = { name?: string } & (
  | { predictions: readonly Prediction[] }
  | { error: { code: string; message: string } }
);

/** Defaults of the options. */
export const MAX_BYTES = 10 * 2 ** 20;
export const MAX_IMAGES = 32;

/** Bytes of a form or a document that take milliseconds to read. */
const LONG_BODY = 2 ** 18;

/** `POST /v1/classify`: receives images within limits, and classifies them in turn. */
export class ClassifyRoute {
  /** Images of all requests that wait or are computed. */
  readonly admission: Admission;
  /** Bodies that are arriving. */
  readonly receiving: Receiving;
  readonly #parsing = new Gate(1);
  readonly #gate: Gate;
  /** Leaves one of several workers free for others. */
  readonly #largeGate: Gate;
  readonly #options: Required<
    Pick<AppOptions, 'maxBytes' | 'maxPixels' | 'maxImages' | 'timeoutMs' | 'parallel' | 'isStopping'>
  > &
    Pick<AppOptions, 'fetchImage'>;

  constructor(
    private readonly model: () => Promise<Classifier>,
    private readonly nameOf: (classifier: Classifier) => string,
    options: AppOptions,
  ) {
    const { maxBytes = MAX_BYTES, maxPixels = 50e6, maxImages = MAX_IMAGES, timeoutMs = 30_000 } = options;
    const { parallel = 1, queue = 128, isStopping = () => false, fetchImage } = options;
    this.#options = {
      maxBytes,
      maxPixels,
      maxImages,
      timeoutMs,
      parallel,
      isStopping,
      ...(fetchImage && { fetchImage }),
    };
    this.admission = new Admission(queue);
    this.receiving = new Receiving(options.receiving ?? {}, isStopping);
    this.#gate = new Gate(parallel);
    this.#largeGate = new Gate(Math.max(1, parallel - 1));
  }

  /** Answers a request. @throws Problem */
  async answer(c: Context<Env>): Promise<Response> {
    const { maxBytes, timeoutMs, isStopping } = this.#options;
    if (isStopping()) throw stoppingProblem();
    refuseCodings(c.req.raw.headers);
    this.admission.check(1);
    const deadline = new Deadline(timeoutMs, c.req.raw.signal);
    const account = new Account(this.receiving);
    try {
      const start = performance.now();
      const asked = topOf(onlyTop(c.req.queries()));
      const body = await deadline.body((signal) => account.receive(c.req.raw, maxBytes, signal));
      const { images, top } = await this.#parsed(c.req.header('content-type') ?? '', body, deadline.signal);
      return await this.admission.enter(images.length, async () => {
        const classifier = await this.model();
        const results = await this.#classify(c, images, {
          classifier,
          top: top ?? asked ?? 5,
          deadline,
          account,
        });
        return c.json({
          model: this.nameOf(classifier),
          results,
          ms: Math.round(100 * (performance.now() - start)) / 100,
        });
      });
    } finally {
      account.close();
      deadline.end();
    }
  }

  /** The results of all images. One that is refused fails the request if it is the only one. */
  #classify(
    c: Context<Env>,
    images: readonly Posted[],
    { classifier, top, deadline, account }: Work,
  ): Promise<Result[]> {
    const { maxPixels, parallel } = this.#options;
    const { signal } = deadline;
    const compute = (bytes: Uint8Array) =>
      this.#gate.pass(signal, () =>
        classifier.classify(bytes, { top, maxPixels, signal, limitMs: Math.max(1, deadline.left) }),
      );
    return eachOf(images, parallel, async ({ name, source }): Promise<Result> => {
      const label = name === undefined ? {} : { name };
      try {
        const bytes = source instanceof URL ? await this.#fetched(source, signal, account) : source;
        const predictions = await (isLarge(bytes)
          ? this.#largeGate.pass(signal, () => compute(bytes))
          : compute(bytes));
        c.set('images', c.get('images') + 1);
        return { ...label, predictions };
      } catch (error) {
        if (!isRefusal(error)) throw error;
        c.set('refused', c.get('refused') + 1);
        if (images.length === 1) throw error;
        return { ...label, error: { code: error.code, message: error.message } };
      }
    });
  }

  /** Reads long bodies one after the other, so that others are answered in between. */
  async #parsed(type: string, body: Uint8Array, signal: AbortSignal): Promise<Asked> {
    const { maxImages } = this.#options;
    if (body.length < LONG_BODY) return readImages(type, body, maxImages);
    return this.#parsing.pass(signal, () => inSlices(readImagesInSlices(type, body, maxImages)));
  }

  #fetched(url: URL, signal: AbortSignal, account: Account): Promise<Uint8Array> {
    const { fetchImage, maxBytes } = this.#options;
    if (fetchImage !== undefined)
      return fetchImage(url, { maxBytes, signal, take: (bytes) => account.take(bytes) });
    throw new Problem(
      403,
      'URL',
      'images: expected base64, found an address, which this service does not fetch',
    );
  }
}

/** What the images of a request share. */
interface Work {
  readonly classifier: Classifier;
  readonly top: number;
  readonly deadline: Deadline;
  readonly account: Account;
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
