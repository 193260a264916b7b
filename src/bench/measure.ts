import { existsSync, readFileSync } from 'node:fs';

/** How long an image's time is measured in a process. */
export interface Rule {
  /** Warm-up: at least one image. Engines optimise in the background, so it counts time. */
  readonly warmUpMs: number;
  /** Measured: at least one image. */
  readonly measuredMs: number;
}

/** What one process reports. */
export interface Measurement {
  /** From the start of the process to its first answer. */
  readonly firstMs: number;
  /** From the start of loading to the end of it. */
  readonly loadMs: number;
  readonly medianMs: number;
  readonly minMs: number;
  readonly runs: number;
  /** WebAssembly memory, which is planned when a model is loaded. */
  readonly wasmBytes: number;
  /** The peak of the process. */
  readonly residentBytes: number;
  /** SHA-256 of the answer: the codes of an integer model. */
  readonly digest: string;
}

/** Computes so many images and gives the last answer. */
export type Run = (images: number) => ArrayBufferView | Promise<ArrayBufferView>;

/** A contender that is loaded. */
export interface Loaded {
  readonly run: Run;
  readonly wasmBytes: number;
}

/** Measures one contender in this process. @param batch images per run; times are per image */
export async function measure(
  open: () => Promise<Loaded>,
  { warmUpMs, measuredMs }: Rule,
  batch = 1,
): Promise<Measurement> {
  const start = performance.now();
  const { run, wasmBytes } = await open();
  const loadMs = performance.now() - start;
  await run(batch);
  const firstMs = performance.now();
  await times(run, warmUpMs, batch);
  const ms = await times(run, measuredMs, batch);
  const digest = await sha256Of(await run(batch));
  const [runs, residentBytes] = [ms.length, peakResident()];
  return {
    firstMs,
    loadMs,
    medianMs: median(ms),
    minMs: Math.min(...ms),
    runs,
    wasmBytes,
    residentBytes,
    digest,
  };
}

async function times(run: Run, duration: number, batch: number): Promise<number[]> {
  const ms: number[] = [];
  const end = performance.now() + duration;
  do {
    const start = performance.now();
    await run(batch);
    ms.push((performance.now() - start) / batch);
  } while (performance.now() < end);
  return ms;
}

async function sha256Of({ buffer, byteOffset, byteLength }: ArrayBufferView): Promise<string> {
  const { createHash } = await import('node:crypto');
  return createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex');
}

/** The middle value; of an even number the upper one. */
export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

/** Peak resident bytes. Linux's `maxRSS` would start with the parent process's memory. */
export function peakResident(): number {
  const status = '/proc/self/status';
  if (!existsSync(status)) return 1024 * process.resourceUsage().maxRSS;
  return 1024 * Number(/VmHWM:\s*(\d+)/.exec(readFileSync(status, 'utf8'))![1]);
}
