import { Presets, SingleBar } from 'cli-progress';
import { formatCount, formatDuration, plural } from './format.js';

export interface Progress {
  update(done: number, total: number): void;
  /** Leaves the line; messages may follow. */
  stop(): void;
}

/** Between two lines where there is no terminal: a log should not fill with them. */
const LINE_INTERVAL_MS = 5000;

let current: Progress | undefined;

/** Progress over images on stderr: a bar on a terminal, else a line now and then. */
export function startProgress(what: string, total: number, unit = 'image'): Progress {
  const progress = process.stderr.isTTY ? barProgress(what, total, unit) : lineProgress(what, total, unit);
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
      progress ??= startProgress(`downloading ${what}`, total, 'byte');
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

function barProgress(what: string, total: number, unit: string): Progress {
  const start = performance.now();
  const progress = new SingleBar(
    {
      stream: process.stderr,
      // The command line has its own answer to Ctrl-C.
      gracefulExit: false,
      barsize: 24,
      format: (options, { progress: part, value, total: all }) => {
        const filled = Math.round(part * options.barsize!);
        const empty = options.barsize! - filled;
        const cells =
          options.barCompleteString!.slice(0, filled) + options.barIncompleteString!.slice(0, empty);
        return `${what} ${cells} ${formatCount(value)}/${plural(all, unit)}${remaining(start, value, all)}`;
      },
    },
    Presets.shades_classic,
  );
  progress.start(total, 0);
  return { update: (done) => progress.update(done), stop: () => progress.stop() };
}

function lineProgress(what: string, total: number, unit: string): Progress {
  const start = performance.now();
  let last = start;
  const line = (text: string) => process.stderr.write(`${what} ${text}\n`);
  line(plural(total, unit));
  return {
    update(done, all) {
      const now = performance.now();
      if (done < all && now - last < LINE_INTERVAL_MS) return;
      last = now;
      line(`${formatCount(done)}/${plural(all, unit)}${remaining(start, done, all)}`);
    },
    stop() {},
  };
}

/** The estimate: what is left at the mean pace so far. */
function remaining(start: number, done: number, total: number): string {
  const elapsed = performance.now() - start;
  if (done >= total) return `, ${formatDuration(elapsed)}`;
  return done === 0 ? '' : `, about ${formatDuration((elapsed / done) * (total - done))} left`;
}
