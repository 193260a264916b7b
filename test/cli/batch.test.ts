import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { load } from '../../src/index.js';
import { fqvit, Scratch } from './support.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const COUNT = 400;
const MODEL = ['--model', 'deit_cifar10'];

const scratch = new Scratch();
const output = scratch.at('out');
let photos: string;

/** Photos in folders, three of them bad. */
beforeAll(() => {
  photos = scratch.at('photos');
  const sources = Array.from({ length: 10 }, (_, i) => scratch.photo(`source${i}.png`, i + 1));
  for (let i = 0; i < COUNT; i++) {
    const folder = `${photos}/${i % 3}`;
    mkdirSync(folder, { recursive: true });
    copyFileSync(sources[i % 10]!, `${folder}/${i}.png`);
  }
  scratch.write('photos/1/bad.png', 'no picture');
  scratch.write('photos/1/torn.png', scratch.read('source1.png').subarray(0, 200));
  scratch.write('photos/2/empty.jpg', '');
});

/** Runs to the end, or kills the process after this many milliseconds. */
function start(args: readonly string[], killAfter: number): Promise<NodeJS.Signals | number | null> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, 'batch', ...args], { cwd: scratch.path, stdio: 'ignore' });
    const timer = setTimeout(() => child.kill('SIGKILL'), killAfter);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve(signal ?? code);
    });
  });
}

function batch(...args: string[]) {
  return fqvit(['batch', ...args], { cwd: scratch.path });
}

function readLines(): { index: number; file: string; predictions?: unknown[]; error?: { code: string } }[] {
  const text = readFileSync(output, 'utf8');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('writes one line per image in order; stderr names the bad ones, and the exit code is 1', async () => {
  const { code, stdout, stderr } = await batch('photos', '-o', 'out', ...MODEL, '--workers', '2');
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const lines = readLines();
  expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: COUNT + 3 }, (_, i) => i));
  expect(lines.map(({ file }) => file)).toEqual(lines.map(({ file }) => file).sort());
  const refused = lines.filter(({ error }) => error !== undefined);
  expect(refused).toMatchObject([
    { file: 'photos/1/bad.png', error: { code: 'IMAGE_FORMAT' } },
    { file: 'photos/1/torn.png', error: { code: 'IMAGE_TRUNCATED' } },
    { file: 'photos/2/empty.jpg', error: { code: 'IMAGE_EMPTY' } },
  ]);
  for (const { error } of refused) expect(stderr).toContain(`fqvit: ${error!.code}: photos/`);
  expect(stderr).toMatch(/\nfqvit: 403 images in out, 3 refused; .* images\/s\n$/);
  const model = await load('deit_cifar10');
  const { file, predictions } = lines[7]!;
  expect(predictions).toEqual(await model.classify(scratch.at(file)));
  model.dispose();
  expect(existsSync(`${output}.unfinished`)).toBe(false);
});

describe.each([
  ['jsonl', []],
  ['csv as it comes', ['--format', 'csv', '--unordered']],
])('%s', (name, options) => {
  test('after a kill at any moment, the same command completes the output of an undisturbed run', async () => {
    const args = ['photos', '-o', 'out', ...MODEL, ...options];
    rmSync(output, { force: true });
    expect(await start(args, 60_000)).toBe(1);
    const undisturbed = readFileSync(output, 'utf8');
    expect(undisturbed.split('\n')).toHaveLength(COUNT + 4 + Number(name.startsWith('csv')));
    rmSync(output);
    let ended: NodeJS.Signals | number | null = null;
    for (let i = 0; typeof ended !== 'number'; i++) {
      ended = await start(args, i < 4 ? 300 + 900 * Math.random() : 60_000);
    }
    expect(ended).toBe(1);
    const sorted = (text: string) => (options.includes('--unordered') ? text.split('\n').sort() : text);
    expect(sorted(readFileSync(output, 'utf8'))).toEqual(sorted(undisturbed));
    expect(existsSync(`${output}.unfinished`)).toBe(false);
  });
});

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
  test('ends the batch and says how to continue; another model is refused then', async () => {
    rmSync(output, { force: true });
    const many = scratch.write('many.txt', `${scratch.at('source0.png')}\n`.repeat(20_000));
    const run = await fqvit(['batch', many, '-o', output, '--top', '1', ...MODEL], { interrupt: signal });
    expect(run).toMatchObject({
      code: signal === 'SIGINT' ? 130 : 143,
      stderr: expect.stringMatching(
        /fqvit: interrupted\nfqvit: .*out is unfinished; run the same command to continue/,
      ),
    });
    const other = await batch(many, '-o', output, '--top', '1', '--model', 'swin_cifar10');
    expect(other).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^fqvit: RESUME: .*out: expected to go on with the model "[0-9a-f]{64}", found/m,
      ),
    });
  });
});

test('a complete output is not replaced without --overwrite', async () => {
  writeFileSync(output, 'precious');
  rmSync(`${output}.unfinished`, { force: true });
  const list = scratch.write('list.txt', 'source1.png\r\n\r\nsource2.png\n');
  expect(await batch(list, '-o', 'out', ...MODEL)).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('out: expected a free name, found a file; --overwrite replaces it'),
  });
  expect(readFileSync(output, 'utf8')).toBe('precious');
  const run = await batch(list, '-o', 'out', '--overwrite', '--json', ...MODEL, '--workers', '1');
  expect(run.code).toBe(0);
  expect(JSON.parse(run.stdout)).toEqual({
    output: 'out',
    images: 2,
    refused: 0,
    before: 0,
    seconds: expect.any(Number),
    imagesPerSecond: expect.any(Number),
    workers: 1,
  });
  expect(readLines().map(({ file }) => file)).toEqual(['source1.png', 'source2.png']);
});

test('the model is not overwritten', async () => {
  copyFileSync(
    new URL('../../models/deit_cifar10.safetensors', import.meta.url),
    scratch.at('m.safetensors'),
  );
  const list = scratch.write('list.txt', 'source1.png');
  expect(await batch(list, '--model', 'm.safetensors', '-o', 'm.safetensors', '--overwrite')).toMatchObject({
    code: 1,
    stderr: 'fqvit: OUTPUT: m.safetensors: expected a file other than the input, found the input itself\n',
  });
});

test('a photo of the batch is not overwritten', async () => {
  const list = scratch.write('one.txt', 'source1.png');
  const before = scratch.read('source1.png');
  const run = await batch(list, ...MODEL, '-o', 'source1.png', '--overwrite');
  expect(run).toMatchObject({ code: 1, stderr: expect.stringContaining('found the input itself') });
  expect(scratch.read('source1.png')).toEqual(before);
});

test('reads a list from stdin and writes lines to stdout', async () => {
  const script = `printf 'source1.png\\nnowhere.png\\n' | "$0" "$1" batch - -o - --model deit_cifar10 --top 1 --format csv`;
  const lines = await new Promise<string>((resolve) => {
    const child = spawn('bash', ['-c', script, process.execPath, MAIN], {
      cwd: scratch.path,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.on('close', () => resolve(text));
  });
  const [header, first, second, ...rest] = lines.split('\n');
  expect(header).toBe('index,file,error,label_1,probability_1');
  expect(first).toMatch(/^0,source1.png,,[a-z]+,0\.\d+$/);
  expect(second).toMatch(/^1,nowhere.png,"SOURCE: nowhere.png: expected a readable file, found ENOENT",,$/);
  expect(rest).toEqual(['']);
});

test.each([
  ['', 1, 'fqvit: IMAGES: standard input: expected images, found none\n'],
  [
    '\\377',
    1,
    'fqvit: TEXT: standard input: expected a list of paths in UTF-8, found other bytes in line 1: \\xff\n',
  ],
])('stdin that is not a list leaves no output: %j', (text, status, message) => {
  const script = `printf '${text}' | "$0" "$1" batch - -o x`;
  const run = spawnSync('bash', ['-c', script, process.execPath, MAIN], {
    cwd: scratch.path,
    encoding: 'utf8',
  });
  expect(run).toMatchObject({ status, stderr: expect.stringContaining(message) });
  expect(existsSync(scratch.at('x')) || existsSync(scratch.at('x.unfinished'))).toBe(false);
});

test('a refusal does not wait for the writer of stdin', () => {
  writeFileSync(output, 'precious');
  rmSync(`${output}.unfinished`, { force: true });
  const script = `exec 3< <(echo source1.png; exec sleep 30); "$0" "$1" batch - -o out <&3; status=$?; kill $!; exit $status`;
  const start = performance.now();
  const run = spawnSync('bash', ['-c', script, process.execPath, MAIN], {
    cwd: scratch.path,
    encoding: 'utf8',
  });
  expect(run).toMatchObject({ status: 1, stderr: expect.stringContaining('OUTPUT_EXISTS') });
  expect(performance.now() - start).toBeLessThan(25_000);
});

test('names some of many bad images and counts the others; --max-pixels', async () => {
  const list = scratch.write('list.txt', 'source0.png\n'.repeat(25));
  rmSync(output, { force: true });
  const { code, stderr } = await batch(list, '-o', 'out', ...MODEL, '--max-pixels', '359');
  expect(code).toBe(1);
  expect(stderr.match(/IMAGE_TOO_LARGE/g)).toHaveLength(20);
  expect(stderr).toContain('fqvit: and 5 more refused images\n');
  expect(new Set(readLines().map(({ error }) => error?.code))).toEqual(new Set(['IMAGE_TOO_LARGE']));
});

test.each([
  [['nowhere', '-o', 'x'], 1, /^fqvit: SOURCE: nowhere: expected a folder or a list of paths/],
  [['photos', '-o', 'missing/x'], 1, /^fqvit: OUTPUT: missing: expected a folder for the output/],
  [['photos', '-o', 'photos'], 1, /^fqvit: OUTPUT: photos: expected a file to write, found a folder/],
  [['many.txt', '-o', 'many.txt'], 1, /^fqvit: OUTPUT: many.txt: expected a file other than the input/],
  [['source0.png', '-o', 'x'], 1, /^fqvit: TEXT: source0.png: expected a list of paths/],
  [['photos'], 2, /^fqvit: OPTION: expected option --output/],
  [['photos', '-o', 'x', '--workers', '0'], 2, /option --workers: expected an integer from 1 to 64/],
  [['photos', '-o', 'x', '--format', 'xml'], 2, /option --format: expected one of jsonl, csv/],
  [['photos', '-o', '-', '--json'], 2, /option --json: expected a file for the lines, found --output -/],
])('%j is refused and leaves nothing', async (args, code, message) => {
  const run = await batch(...args);
  expect(run).toMatchObject({ code, stdout: '', stderr: expect.stringMatching(message) });
  expect(existsSync(scratch.at('x')) || existsSync(scratch.at('x.unfinished'))).toBe(false);
});
