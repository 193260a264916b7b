// Runs the commands of one page in a shell each, one after the other, as if typed into one.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const LIMIT_MS = 600_000;
const LISTENING_MS = 60_000;
const WORKER_MS = 3000;

/** The kill functions of what runs now. */
const running = new Set();
process.on('exit', () => {
  for (const kill of running) kill('SIGKILL');
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** Commands that run until somebody stops them. */
const SERVER = /\b(fqvit serve|workerd serve|http\.server|fqvit work(?!.*--drain))(?!.*--help)/;
const isServer = (command) => SERVER.test(command);

/** A folder and environment that commands change, and the server that they started. */
export class Shell {
  #server;

  /** @param stateFile where each command leaves its folder and environment */
  constructor(cwd, env, stateFile) {
    Object.assign(this, { cwd, env, stateFile });
  }

  /**
   * @param later the commands that follow: they show the port of a server
   * @returns whether it succeeded, and its output (of a server that listens: none)
   */
  async run(command, later) {
    if (isServer(command)) return this.#serve(command, later);
    const script = `set -eo pipefail\n${command}\n{ pwd; env -0; } > '${this.stateFile}'`;
    const { code, output } = await this.#start(script).ended;
    if (code !== 0) return { succeeded: false, output: `${output}exit code ${code}` };
    const [cwd, ...rest] = readFileSync(this.stateFile, 'utf8').split('\n');
    this.cwd = cwd;
    const entries = rest.join('\n').split('\0').slice(0, -1);
    this.env = Object.fromEntries(entries.map((entry) => /^([^=]*)=(.*)$/s.exec(entry).slice(1)));
    return { succeeded: true, output };
  }

  /** Starts a server in place of the last one. */
  async #serve(command, later) {
    await this.stop();
    const isWorker = command.includes('fqvit work');
    const port = Number(/(?:localhost|127\.0\.0\.1):(\d+)/.exec(later)?.[1] ?? 8080);
    if (!isWorker && (await answers(port))) return { succeeded: false, output: `port ${port} is in use` };
    const server = this.#start(command);
    this.#server = server;
    const end = performance.now() + (isWorker ? WORKER_MS : LISTENING_MS);
    while (running.has(server.kill) && performance.now() < end) {
      if (!isWorker && (await answers(port))) return { succeeded: true, output: '' };
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    if (isWorker && running.has(server.kill)) return { succeeded: true, output: '' };
    await this.stop();
    const { output } = await server.ended;
    return { succeeded: false, output: `${output}it did not listen on port ${port}` };
  }

  async stop() {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    server.kill('SIGTERM');
    const timer = setTimeout(server.kill, 15_000, 'SIGKILL');
    await server.ended;
    clearTimeout(timer);
  }

  #start(script) {
    const child = spawn('bash', ['-c', script], {
      cwd: this.cwd,
      env: this.env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const kill = (signal) => running.has(kill) && process.kill(-child.pid, signal);
    running.add(kill);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data) => {
        output += data;
      });
    const timer = setTimeout(kill, LIMIT_MS, 'SIGKILL');
    const ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        running.delete(kill);
        const ending = output === '' || output.endsWith('\n') ? '' : '\n';
        resolve({ code: code ?? signal, output: output + ending });
      });
    });
    return { ended, kill };
  }
}

function answers(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      resolve(true);
      socket.destroy();
    });
  });
}
