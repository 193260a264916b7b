import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Answer, AppOptions } from './options.js';

/** The metrics of `/metrics`: answers, images, and the process itself. */
export class Metrics implements NonNullable<AppOptions['metrics']> {
  readonly #registry = new Registry();
  readonly #requests: Counter;
  readonly #seconds: Histogram;
  readonly #images: Counter;

  readonly #inside: Gauge;
  readonly #bodies: Gauge;
  readonly #bytes: Gauge;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Counter({
      name: 'fqvit_http_requests_total',
      help: 'Answers by route, method and status',
      labelNames: ['route', 'method', 'status'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'fqvit_http_request_seconds',
      help: 'Time from a request to its answer by route',
      labelNames: ['route'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    this.#images = new Counter({
      name: 'fqvit_images_total',
      help: 'Images by outcome: classified or refused',
      labelNames: ['outcome'],
      registers,
    });
    this.#inside = new Gauge({
      name: 'fqvit_images_inside',
      help: 'Images that wait or are computed',
      registers,
    });
    this.#bodies = new Gauge({
      name: 'fqvit_bodies_receiving',
      help: 'Bodies that are on their way in',
      registers,
    });
    this.#bytes = new Gauge({
      name: 'fqvit_bytes_inside',
      help: 'Bytes of bodies, from their arrival to the answer',
      registers,
    });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  text(inside: number, { bodies, bytes }: { bodies: number; bytes: number }): Promise<string> {
    this.#inside.set(inside);
    this.#bodies.set(bodies);
    this.#bytes.set(bytes);
    return this.#registry.metrics();
  }

  count({ route, method, status, ms, images, refused }: Answer): void {
    this.#requests.inc({ route, method: METHODS.has(method) ? method : 'other', status });
    this.#seconds.observe({ route }, ms / 1000);
    this.#images.inc({ outcome: 'classified' }, images);
    this.#images.inc({ outcome: 'refused' }, refused);
  }
}

/** Other methods share one label: clients could create any number of series. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
