// Processes that answer each line of JSON with one: the library in Python, and fqvit's reader.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const beside = (name) => fileURLToPath(new URL(name, import.meta.url));

class Process {
  #start;
  #process;
  #lines;

  constructor(command, args, env = {}) {
    this.#start = () => {
      this.#process = spawn(command, args, {
        env: { ...process.env, ...env },
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      // If the process has ended, `request` notices that no answer comes.
      this.#process.stdin.on('error', () => {});
      this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    };
  }

  /** @returns undefined if the process ends or is too slow; the next request starts another */
  async request(message, seconds) {
    if (this.#process === undefined) this.#start();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 1000 * seconds);
    this.#process.stdin.write(`${JSON.stringify(message)}\n`);
    const { value, done } = await this.#lines.next();
    clearTimeout(timer);
    if (!done) return JSON.parse(value);
    this.#process = undefined;
    return undefined;
  }

  close() {
    this.#process?.stdin.end();
  }
}

/** The library itself refuses a model or fails. */
export class LibraryError extends Error {}

/** Makes models with the library, and computes their expected results. */
export class Library {
  #process;

  /** @param python the result of `environment` */
  constructor({ command, env }) {
    this.#process = new Process(command, [beside('serve.py')], env);
  }

  /** @returns the answer of `serve.py` @throws LibraryError with the error that it reports */
  async ask(op, request = {}) {
    const answer = await this.#process.request({ op, ...request }, 1800);
    if (answer === undefined) throw new Error('Python ended, or gave no answer within 1800 s');
    if (answer.error !== undefined) throw new LibraryError(answer.error);
    return answer.ok;
  }

  close() {
    this.#process.close();
  }
}

/** Reads folders with fqvit. */
export class Reader {
  #process = new Process(process.execPath, [beside('read.mjs')]);

  /** @returns the answer of `read.mjs` */
  async read(folder, photos = []) {
    const answer = await this.#process.request({ folder, photos }, 300);
    return answer ?? { crash: 'the process ended, or gave no answer within 300 s' };
  }

  close() {
    this.#process.close();
  }
}
