import { Presets, SingleBar } from 'cli-progress';
import { shownSource } from '../platform/address.js';
import { formatCount, formatDuration, plain, plural } from './format.js';
import { note } from './report.js';

export interface Progress {
  /** @param total undefined where it is not known */
  update(done: number, total: number | undefined): void;
  /** Leaves the line; messages may follow. */
  stop(): void;
}

/** Between two lines where there is no terminal: a log should not fill with them. */
const LINE_INTERVAL_MS = 5000;

let current: Progress | undefined;

export interface ProgressOptions {
  unit?: string;
  /** What stands behind the count. Default: the estimate of the time that is left, at the mean pace so far. */
  pace?: (done: number, total: number | undefined) => string;
}

/** Progress over images on stderr: a bar on a terminal, else a line now and then. */
export function startProgress(
  what: string,
  total: number | undefined,
  { unit = 'image', pace = meanPace() }: ProgressOptions = {},
): Progress {
  const start = process.stderr.isTTY ? barProgress : lineProgress;
  const progress = start(what, total, unit, pace);
  current = progress;
  return {
    update: progress.update,
    stop: () => {
      progress.stop();
      current = undefined;
    },
  };
}

/** Progress of a download, which begins with the first bytes that are missing; where their number is not known there is none. */
export function downloadProgress(what: string) {
  let progress: Progress | undefined;
  return {
    update(loaded: number, total: number | undefined): void {
      if (total === undefined || (progress === undefined && loaded === total)) return;
      progress ??= startProgress(`downloading ${plain(shownSource(what))}`, total, { unit: 'byte' });
      progress.update(loaded, total);
      if (loaded === total) this.stop();
    },
    stop(): void {
      progress?.stop();
      progress = undefined;
    },
  };
}

/** Leaves the line of a bar that still runs. */
export function stopProgress(): void {
  current?.stop();
  current = undefined;
}

/** A message that leaves the bar whole. */
export function noteBesideProgress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  note(message);
}

type Pace = NonNullable<ProgressOptions['pace']>;

function barProgress(what: string, total: number | undefined, unit: string, pace: Pace): Progress {
  const progress = new SingleBar(
    {
      stream: process.stderr,
      // The command line has its own answer to Ctrl-C.
      gracefulExit: false,
      barsize: 24,
      format: (options, { progress: part, value }) => {
        const counted = `${countOf(value, total, unit)}${pace(value, total)}`;
        if (total === undefined) return `${what} ${counted}`;
        const filled = Math.round(part * options.barsize!);
        const empty = options.barsize! - filled;
        const cells =
          options.barCompleteString!.slice(0, filled) + options.barIncompleteString!.slice(0, empty);
        return `${what} ${cells} ${counted}`;
      },
    },
    Presets.shades_classic,
  );
  progress.start(total ?? 0, 0);
  return { update: (done) => progress.update(done), stop: () => progress.stop() };
}

function lineProgress(what: string, total: number | undefined, unit: string, pace: Pace): Progress {
  let last = performance.now();
  const line = (text: string) => process.stderr.write(`${what} ${text}\n`);
  if (total !== undefined) line(plural(total, unit));
  return {
    update(done, all) {
      const now = performance.now();
      if (done !== all && now - last < LINE_INTERVAL_MS) return;
      last = now;
      line(`${countOf(done, all, unit)}${pace(done, all)}`);
    },
    stop() {},
  };
}

function countOf(done: number, total: number | undefined, unit: string): string {
  return total === undefined ? plural(done, unit) : `${formatCount(done)}/${plural(total, unit)}`;
}

/** @param before what was done before now */
export function meanPace(before = 0): Pace {
  const start = performance.now();
  return (done, total) => {
    const elapsed = performance.now() - start;
    if (total === undefined || done === before) return '';
    if (done >= total) return `, ${formatDuration(elapsed)}`;
    return `, about ${formatDuration((elapsed / (done - before)) * (total - done))} left`;
  };
}
