import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll } from '@jest/globals';
import { noiseImage, rgbPng } from '../image/support.js';
import { tinyModel } from '../support/tiny-model.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

export interface Run {
  /** Null if a signal ended the process. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Signal to send at the first output on stderr. */
  interrupt?: NodeJS.Signals;
  /** A shell command line that reads stdout. */
  pipe?: string;
}

/** Runs the built command line. */
export function fqvit(args: readonly string[], { env, cwd, interrupt, pipe }: RunOptions = {}): Promise<Run> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: run \`npm run build\` first`);
  const [program, programArgs] =
    pipe === undefined
      ? [process.execPath, [MAIN, ...args]]
      : ['bash', ['-c', `set -o pipefail; "$@" ${pipe}`, 'bash', process.execPath, MAIN, ...args]];
  return new Promise((resolve, reject) => {
    const child = spawn(program, programArgs, { cwd, env: { ...process.env, DEBUG: '', ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (interrupt && stderr === '') child.kill(interrupt);
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** A folder for a test file, removed after it. */
export class Scratch {
  readonly path = mkdtempSync(join(tmpdir(), 'fqvit-cli-'));

  constructor() {
    afterAll(() => rmSync(this.path, { recursive: true, force: true }));
  }

  /** The path of a file in it. */
  at(name: string): string {
    return join(this.path, name);
  }

  /** Writes a file and its folders. @returns its path */
  write(name: string, content: string | Uint8Array): string {
    const path = this.at(name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  read(name: string): Uint8Array {
    return new Uint8Array(readFileSync(this.at(name)));
  }

  /** Writes a small PNG of noise. @returns its path */
  photo(name: string, seed: number): string {
    return this.write(name, rgbPng(noiseImage(20, 18, seed)));
  }

  /** Writes `float.safetensors`, and `photos/` with 6 photos in two subfolders. */
  fill(): { float: string; photos: string } {
    for (let i = 0; i < 6; i++) this.photo(`photos/${i % 2 ? 'odd' : 'even'}/${i}.png`, i + 1);
    return { float: this.write('float.safetensors', tinyModel()), photos: this.at('photos') };
  }
}

/** Like `fill`, and makes `integer.safetensors` with `fqvit quantize`. */
export async function withInteger(
  scratch: Scratch,
): Promise<{ float: string; photos: string; integer: string }> {
  const { float, photos } = scratch.fill();
  const integer = scratch.at('integer.safetensors');
  const { code, stderr } = await fqvit(['quantize', float, '--calibration', photos, '-o', integer]);
  if (code !== 0) throw new Error(stderr);
  return { float, photos, integer };
}
