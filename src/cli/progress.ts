import { Presets, SingleBar } from 'cli-progress';
import { shownSource } from '../platform/address.js';
import { escapeControls, formatCount, formatDuration, plural } from './format.js';
import { note } from './report.js';

export interface Progress {
  /** @param total undefined if it is unknown */
  update(done: number, total: number | undefined): void;
  /** Ends the line, so that messages can follow. */
  stop(): void;
}

/** Between two lines in a log, so that they do not fill it. */
const LINE_INTERVAL_MS = 5000;

let current: Progress | undefined;

export interface ProgressOptions {
  unit?: string;
  /** Text after the count. Default: the time that is left, at the mean pace so far. */
  pace?: (done: number, total: number | undefined) => string;
}

/** Shows progress on stderr: a bar on a terminal, otherwise a line every five seconds. */
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

/** Progress of a download. Shows nothing if the file is complete or its length unknown. */
export function downloadProgress(what: string) {
  let progress: Progress | undefined;
  return {
    update(loaded: number, total: number | undefined): void {
      if (total === undefined || (progress === undefined && loaded === total)) return;
      progress ??= startProgress(`downloading ${escapeControls(shownSource(what))}`, total, { unit: 'byte' });
      progress.update(loaded, total);
      if (loaded === total) this.stop();
    },
    stop(): void {
      progress?.stop();
      progress = undefined;
    },
  };
}

/** Ends the line of a running bar. */
export function stopProgress(): void {
  current?.stop();
  current = undefined;
}

/** Prints a message without breaking the bar. */
export function noteAboveProgress(message: string): void {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  note(message);
}

type ProgressPace = NonNullable<ProgressOptions['pace']>;

function barProgress(what: string, total: number | undefined, unit: string, pace: ProgressPace): Progress {
  const progress = new SingleBar(
    {
      stream: process.stderr,
      // main.ts handles Ctrl-C
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

function lineProgress(what: string, total: number | undefined, unit: string, pace: ProgressPace): Progress {
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

/** @param before number of those done by earlier runs */
export function meanPace(before = 0): ProgressPace {
  const start = performance.now();
  return (done, total) => {
    const elapsed = performance.now() - start;
    if (total === undefined || done === before) return '';
    if (done >= total) return `, ${formatDuration(elapsed)}`;
    return `, about ${formatDuration((elapsed / (done - before)) * (total - done))} left`;
  };
}
