/** A worker that is ended when an input takes too long or too much memory. */

import { Worker } from 'node:worker_threads';
import type { Finding } from './target.js';
import type { OneReport, Order, SliceReport } from './worker.js';

export interface Limits {
  /** Of one input, milliseconds. */
  readonly limitMs: number;
  /** Resident bytes of the process. */
  readonly maxBytes: number;
}

/** An input that ended its worker. */
export class Ended extends Error {
  constructor(
    /** Of the input, in a slice. */
    readonly index: number,
    readonly finding: Finding,
  ) {
    super(finding.key);
  }
}

const EVENTS = ['message', 'error', 'exit'];

export class Guarded {
  readonly #target: string;
  readonly #limits: Limits;
  readonly #clock = new Float64Array(new SharedArrayBuffer(16));
  #worker: Promise<Worker> | undefined;

  constructor(target: string, limits: Limits) {
    this.#target = target;
    this.#limits = limits;
  }

  slice(order: Extract<Order, { kind: 'slice' }>): Promise<SliceReport> {
    return this.#run(order);
  }

  /** @returns what came of it, also where it ended the worker */
  async one(order: Exclude<Order, { kind: 'slice' }>): Promise<Partial<OneReport>> {
    try {
      return await this.#run<OneReport>(order);
    } catch (error) {
      if (error instanceof Ended) return { finding: error.finding };
      throw error;
    }
  }

  async end(): Promise<void> {
    const worker = await this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  /** @throws Ended */
  async #run<Report>(order: Order): Promise<Report> {
    this.#worker ??= this.#start();
    const worker = await this.#worker;
    this.#clock[1] = 0;
    return new Promise<Report>((resolve, reject) => {
      const settle = () => {
        clearInterval(watch);
        for (const event of EVENTS) worker.removeAllListeners(event);
      };
      const giveUp = (key: string, detail = key) => {
        settle();
        worker.on('error', () => {});
        const ended = new Ended(this.#clock[0]!, { key, detail });
        this.end().then(() => reject(ended), reject);
      };
      const watch = setInterval(() => {
        const since = this.#clock[1]!;
        if (since > 0 && Date.now() - since > this.#limits.limitMs)
          giveUp(`time: more than ${this.#limits.limitMs} ms`);
        else if (process.memoryUsage.rss() > this.#limits.maxBytes) giveUp('memory: more than the limit');
      }, 50);
      worker.once('message', (report: Report) => {
        settle();
        resolve(report);
      });
      worker.once('error', (error: Error) => giveUp(`worker: ${error.message}`, error.stack));
      worker.once('exit', (code) => giveUp(`worker: exit ${code}`));
      worker.postMessage(order);
    });
  }

  async #start(): Promise<Worker> {
    const worker = new Worker(new URL('worker.mjs', import.meta.url), {
      workerData: { clock: this.#clock.buffer, target: this.#target },
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(this.#limits.maxBytes / 2 ** 20) },
    });
    await new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('error', reject);
    });
    for (const event of EVENTS) worker.removeAllListeners(event);
    return worker;
  }
}
