// The Python process that makes models: one request at a time.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const serve = join(dirname(fileURLToPath(import.meta.url)), 'serve.py');

export class Library {
  #process;
  #lines;

  /** @param python { command, env } of an environment */
  constructor({ command, env }) {
    this.#process = spawn(command, [serve], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** What `serve.py` answers; throws what it says went wrong. */
  async ask(op, request = {}) {
    this.#process.stdin.write(`${JSON.stringify({ op, ...request })}\n`);
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the Python process has ended');
    const { ok, error } = JSON.parse(value);
    if (error !== undefined) throw new Error(error);
    return ok;
  }

  async close() {
    this.#process.stdin.end();
    if (this.#process.exitCode === null) await once(this.#process, 'exit');
  }
}
