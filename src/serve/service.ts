import pino, { type Logger } from 'pino';
import type { Pool } from '../pool/index.js';
import type { MemoryShares } from '../pool/memory-shares.js';
import { escapeJsonControls } from '../text/escape-controls.js';
import { createApp } from './app.js';
import { fetchImage } from './fetch-image.js';
import { Metrics } from './metrics.js';
import { type Listening, type ListenOptions, listen } from './node.js';
import type { Answer, AppOptions } from './options.js';

export interface ServiceOptions
  extends Required<Pick<AppOptions, 'name' | 'maxBytes' | 'maxPixels' | 'maxImages' | 'queue' | 'timeoutMs'>>,
    Pick<ListenOptions, 'host' | 'port'> {
  readonly token: string | undefined;
  readonly allowUrl: boolean;
  readonly logLevel: string;
  readonly memory: MemoryShares;
}

/** Idle connections in addition to those that send or wait. */
const IDLE_CONNECTIONS = 1000;

/** Most arriving bodies: a silent one costs only its connection. */
const BODIES = 1024;

/** A running `fqvit serve`. */
export interface Service extends Pick<Listening, 'url'> {
  stop(graceMs: number): Promise<void>;
}

/**
 * Starts the app over a pool, with logs and metrics. Disposes the pool when it stops.
 *
 * @throws RuntimeError `LISTEN`
 */
export async function startService(pool: Pool, options: ServiceOptions): Promise<Service> {
  const { name, host, port, maxBytes, maxPixels, maxImages, queue, timeoutMs, token } = options;
  // escapes control characters, which a terminal would obey
  const lines = { write: (line: string) => void process.stdout.write(escapeJsonControls(line)) };
  const log = pino({ level: options.logLevel }, lines);
  const metrics = new Metrics();
  let isStopping = false;
  const app = createApp(async () => pool, {
    name,
    maxBytes,
    maxPixels,
    maxImages,
    queue,
    // in a small container, one of the largest bodies still fits
    receiving: { bodies: BODIES, bytes: Math.max(options.memory.bodies, maxBytes) },
    timeoutMs,
    parallel: pool.info.workers,
    metrics,
    isStopping: () => isStopping,
    onAnswer(answer) {
      metrics.count(answer);
      logAnswer(log, answer);
    },
    ...(token === undefined ? {} : { token }),
    ...(options.allowUrl ? { fetchImage } : {}),
  });
  const maxConnections = queue + BODIES + IDLE_CONNECTIONS;
  const listening = await listen(app, { host, port, timeoutMs, maxConnections });
  const { url } = listening;
  const { workers } = pool.info;
  const { total: maxMemory, images: imageMemory, bodies: bodyMemory } = options.memory;
  log.info({ url, model: name, workers, queue, maxMemory, imageMemory, bodyMemory }, 'listening');
  return {
    url,
    async stop(graceMs) {
      isStopping = true;
      log.info('stopping');
      await listening.stop(graceMs);
      await pool.dispose();
      log.info('stopped');
    },
  };
}

function logAnswer(log: Logger, { error, ...answer }: Answer): void {
  const { status } = answer;
  const entry = { ...answer, ms: Math.round(answer.ms * 10) / 10 };
  if (error !== undefined) log.error({ ...entry, err: error }, 'fault');
  else if (answer.route.startsWith('/v1/')) log.info(entry, status < 400 ? 'answered' : 'refused');
  else log.debug(entry, 'answered');
}
