import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Run } from '../cli/support.js';

export const REDIS_SERVER = '/usr/bin/redis-server';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** A Redis of the test's own on this machine, which keeps what it has over a restart. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'fqvit-redis-'));
  #process: ChildProcess | undefined;

  private constructor(
    private readonly port: number,
    private readonly options: readonly string[],
  ) {}

  static async start(...options: string[]): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    await server.resume();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  async resume(): Promise<void> {
    const args = [
      ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#folder],
      ...['--appendonly', 'yes', '--appendfsync', 'always', '--save', '', ...this.options],
    ];
    const server = spawn(REDIS_SERVER, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#process = server;
    await new Promise<void>((resolve, reject) => {
      server.stdout.on('data', (text) => /Ready to accept connections/.test(String(text)) && resolve());
      server.on('exit', (code) => reject(new Error(`redis-server ended with ${code}`)));
    });
  }

  /** `SIGKILL`: as where the power fails. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const server = this.#process!;
    if (server.exitCode !== null || server.signalCode !== null) return;
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill(signal);
    await ended;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The built command line as a process that can be told to end. */
export class Started {
  readonly ended: Promise<Run>;
  readonly #process: ChildProcess;
  stderr = '';

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, DEBUG: '', ...env } });
    this.#process = child;
    let stdout = '';
    child.stdout.on('data', (text) => {
      stdout += text;
    });
    child.stderr.on('data', (text) => {
      this.stderr += text;
    });
    this.ended = new Promise((resolve) =>
      child.on('close', (code) => resolve({ code, stdout, stderr: this.stderr })),
    );
  }

  kill(signal: NodeJS.Signals): Promise<Run> {
    this.#process.kill(signal);
    return this.ended;
  }
}

/** Looks until it is so. */
export async function until(isSo: () => unknown, ms = 30_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`expected within ${ms} ms: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
