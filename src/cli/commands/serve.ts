import { UsageError } from '../../errors.js';
import { LONGEST_TIMER_MS } from '../../platform/longest-timer.js';
import { proxyVariable } from '../../platform/proxy.js';
import { describeCommand } from '../command.js';
import { MAX_MEMORY_OPTION, MODEL_OPTION, noteBundled, openPool, WORKERS_OPTION } from '../image-command.js';
import { withLibraries } from '../library.js';
import { note, warn } from '../report.js';
import { onFirstSignal } from '../signals.js';
import { integerOption } from '../values.js';

const PACKAGES = ['hono', '@hono/node-server', 'prom-client', 'pino'];

const LEVELS = ['debug', 'info', 'warn', 'error', 'silent'];

export default describeCommand({
  name: 'serve',
  summary: 'classify photos over HTTP: POST /v1/classify',
  usage: '[OPTIONS]',
  args: {
    model: MODEL_OPTION,
    port: { type: 'string', valueHint: 'N', default: '8080', description: 'Port, or 0 for any free port' },
    host: {
      type: 'string',
      valueHint: 'ADDRESS',
      default: '127.0.0.1',
      description: 'Address to listen on; 0.0.0.0 or :: for all addresses',
    },
    workers: WORKERS_OPTION,
    'max-memory': MAX_MEMORY_OPTION,
    queue: {
      type: 'string',
      valueHint: 'N',
      default: '128',
      description: 'Images waiting or in progress; above this number the answer is 503',
    },
    'max-body': {
      type: 'string',
      valueHint: 'BYTES',
      default: '10485760',
      description: 'Largest request body, in bytes',
    },
    'max-pixels': {
      type: 'string',
      valueHint: 'N',
      default: '50000000',
      description: 'Largest image, in pixels',
    },
    'max-images': {
      type: 'string',
      valueHint: 'N',
      default: '32',
      description: 'Most images in one request',
    },
    timeout: {
      type: 'string',
      valueHint: 'MS',
      default: '30000',
      description: 'Time limit for a request in milliseconds, half of it for the body',
    },
    grace: {
      type: 'string',
      valueHint: 'MS',
      default: '10000',
      description: 'Wait for running requests after SIGTERM or Ctrl-C, in milliseconds',
    },
    token: {
      type: 'string',
      valueHint: 'SECRET',
      description: 'Bearer token that clients must send (default: FQVIT_TOKEN, or none)',
    },
    'allow-url': {
      type: 'boolean',
      description: 'Accept URLs from clients, and fetch images from public addresses',
    },
    'log-level': {
      type: 'enum',
      options: LEVELS,
      valueHint: 'LEVEL',
      default: 'info',
      description: 'Level of the logs, JSON lines on stdout',
    },
  },
  examples: [
    'fqvit serve',
    "curl --data-binary @photo.jpg 'localhost:8080/v1/classify?top=1'",
    'fqvit serve --model m.safetensors --host 0.0.0.0 --workers 4 --queue 64',
    'FQVIT_TOKEN=secret fqvit serve --allow-url --log-level warn',
  ],
  async run(args) {
    const options = {
      host: args.host,
      port: integerOption('port', args.port, 0, 65_535),
      queue: integerOption('queue', args.queue, 1, 100_000),
      maxBytes: integerOption('max-body', args['max-body'], 1, 2 ** 28),
      maxPixels: integerOption('max-pixels', args['max-pixels'], 1),
      maxImages: integerOption('max-images', args['max-images'], 1, 10_000),
      timeoutMs: integerOption('timeout', args.timeout, 100, LONGEST_TIMER_MS),
      token: tokenOf(args.token),
      allowUrl: args['allow-url'] ?? false,
      logLevel: args['log-level'],
    };
    const grace = integerOption('grace', args.grace, 0, LONGEST_TIMER_MS);
    if (options.maxImages > options.queue) {
      throw new UsageError(
        'OPTION',
        `option --max-images: expected at most --queue, which is ${options.queue}, found ${options.maxImages}`,
      );
    }
    const { startService } = await withLibraries(
      'fqvit serve',
      PACKAGES,
      () => import('../../serve/service.js'),
    );
    const { pool, source, isBundled, memory } = await openPool(args.model, args.workers, args['max-memory']);
    if (isBundled) noteBundled(source, pool.info.labels);
    const service = await startService(pool, { ...options, name: source, memory }).catch(async (error) => {
      await pool.dispose();
      throw error;
    });
    note(`fqvit: ${source} at ${service.url}`);
    const proxy = options.allowUrl ? proxyVariable(process.env) : undefined;
    if (proxy !== undefined) {
      warn(`${proxy} is ignored for image URLs: a proxy could reach addresses that are not public`);
    }
    await new Promise<void>((resolve) => onFirstSignal(() => resolve()));
    await service.stop(grace);
  },
});

/** Refuses an empty token, and one that no client can send. @throws UsageError `OPTION` */
function tokenOf(option: string | undefined): string | undefined {
  const token = option ?? process.env.FQVIT_TOKEN;
  if (token === undefined || /^[!-~]+$/.test(token)) return token;
  const name = option === undefined ? 'variable FQVIT_TOKEN' : 'option --token';
  const found = token === '' ? 'nothing' : 'other characters';
  throw new UsageError('OPTION', `${name}: expected visible ASCII characters, found ${found}`);
}
