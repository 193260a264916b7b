import type { ImageRecord } from '../batch/record.js';
import type { Counts } from '../batch/run.js';
import { formatDuration, plural } from './format.js';
import { meanPace, noteAboveProgress, type Progress, startProgress } from './progress.js';
import { note } from './report.js';

/** Refused images to name; the others are counted. */
const REFUSED_SHOWN = 20;

export interface BatchSummary extends Counts {
  /** Images done in earlier runs. */
  readonly before: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** Reports a batch on stderr: progress, refused images, the result and how to continue. */
export class BatchWatch {
  #counts: Counts = { images: 0, refused: 0 };
  #before = 0;
  #shown = 0;
  #start = 0;
  #progress: Progress | undefined;

  /** @param total number of images, if known */
  constructor(
    private readonly output: string,
    private readonly total: number | undefined,
  ) {}

  begin(there: Counts): void {
    this.#counts = there;
    this.#before = there.images;
    this.#start = performance.now();
    if (there.images > 0) {
      note(`fqvit: ${this.output} has ${plural(there.images, 'image')}; continuing with the rest`);
    }
    const timeLeft = meanPace(there.images);
    this.#progress = startProgress('classifying', this.total, {
      pace: (done, total) => `${this.#pace()}${timeLeft(done, total)}`,
    });
    process.on('exit', this.#interrupted);
  }

  record(record: ImageRecord): void {
    const { images, refused } = this.#counts;
    const isRefused = 'error' in record;
    this.#counts = { images: images + 1, refused: refused + Number(isRefused) };
    if (isRefused && this.#shown++ < REFUSED_SHOWN) {
      noteAboveProgress(`fqvit: ${record.error.code}: ${record.error.message}`);
    }
    this.#progress?.update(images + 1, this.total);
  }

  end(): BatchSummary {
    this.#progress?.stop();
    process.off('exit', this.#interrupted);
    const { images, refused } = this.#counts;
    const ms = performance.now() - this.#start;
    const unsaid = this.#shown - REFUSED_SHOWN;
    if (unsaid > 0) note(`fqvit: and ${plural(unsaid, 'more refused image')}`);
    const refusedOf = refused === 0 ? '' : `, ${refused} refused`;
    note(
      `fqvit: ${plural(images, 'image')} in ${this.output}${refusedOf}; ${formatDuration(ms)}, ${this.#perSecond().toFixed(1)} images/s`,
    );
    const round = (value: number) => Math.round(value * 100) / 100;
    return {
      images,
      refused,
      before: this.#before,
      seconds: round(ms / 1000),
      imagesPerSecond: round(this.#perSecond()),
    };
  }

  #perSecond(): number {
    return ((this.#counts.images - this.#before) * 1000) / (performance.now() - this.#start);
  }

  #pace(): string {
    const { refused } = this.#counts;
    return `, ${this.#perSecond().toFixed(1)} images/s${refused === 0 ? '' : `, ${refused} refused`}`;
  }

  readonly #interrupted = (code: number) => {
    if (code > 128 && this.output !== '-') {
      note(`fqvit: ${this.output} is unfinished; run the same command to continue`);
    }
  };
}
