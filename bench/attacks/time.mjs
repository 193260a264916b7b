// Small inputs that ask for much time: pictures, checkpoints, graphs and lists of labels; and how
// late a long pass notices an abort or a limit.
//   npm run build && node bench/attacks/time.mjs [--only nearest,…] [--patience 60] [--dist dist]
//     [--json]
// Each row is a fresh process, killed after `--patience` seconds; its `ms` is then empty. `--dist`
// tests another build. The model of the passes has 4,097 tokens and 256 blocks of one head in a
// file of 2 MB: one pass takes many seconds.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { peakResident } from '../../dist/bench/measure.js';
import { list, option, report } from '../support.mjs';

const DIST = option('dist', fileURLToPath(new URL('../../dist', import.meta.url)));
const SELF = fileURLToPath(import.meta.url);
const of = (path) => import(pathToFileURL(join(DIST, path)));
const patience = Number(option('patience', 60));
const work = option('folder') ?? mkdtempSync(join(tmpdir(), 'fqvit-time-'));
const MODEL = join(work, 'deep.safetensors');

/** Each returns its columns apart from the time. */
const ATTACKS = {
  nearest: () => crop([1_000_000, 1], { imageSize: 224, cropPct: 0.01, interpolation: 'nearest' }),
  lanczos: () => crop([8_000_000, 1], { imageSize: 224, cropPct: 1, interpolation: 'lanczos', squash: true }),
  tall: () => crop([1, 8_000_000], { imageSize: 224, cropPct: 0.01, interpolation: 'bicubic' }),
  blocks: () => checkpoint((i) => `blocks.${i}.norm1.weight`),
  prefixes: () => checkpoint((i) => `p${i}.patch_embed.proj.weight`),
  macs: heavy,
  layers,
  slices: () => graph('Slice', ['many', 'many', 'many', 'many'], 2 ** 25 - 10),
  rows: () => graph('Concat', ['many', 'many'], 2 ** 40, 0),
  expand: () => graph('Expand', ['many'], 2 ** 25 - 10),
  labels: () =>
    labels(`[${Array.from({ length: 300_000 }, (_, i) => `{"index":${i},"name":"n${i}"}`).join()}]`),
  'abort after 0.5 s': abort,
  'abort of 2 threads': () => abort(2),
  'abort of a float model': abortFloat,
  'timers during a pass': timers,
  'pool: limit of 1 s': poolLimit,
  'pool: another image beside': poolOther,
  'batch: 3 photos of 1 s each': batch,
};

if (process.argv.includes('--run')) {
  console.log(JSON.stringify({ ...(await ATTACKS[option('run')]()), MB: peakResident() / 1e6 }));
  process.exit();
}
try {
  if (!existsSync(MODEL)) await makeModel();
  const rows = [];
  for (const name of list('only', Object.keys(ATTACKS).join())) rows.push(await inProcess(name));
  report('time', { dist: DIST, patience }, rows);
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function inProcess(attack) {
  const args = [SELF, '--run', attack, '--dist', DIST, '--folder', work];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 1000 * patience);
  const [out, err] = await Promise.all([child.stdout, child.stderr].map((stream) => text(stream)));
  clearTimeout(timer);
  if (out !== '') return { attack, ...JSON.parse(out) };
  return { attack, found: err === '' ? `killed after ${patience} s` : err.match(/\w*Error.*/)?.[0] };
}

async function text(stream) {
  let all = '';
  for await (const part of stream.setEncoding('utf8')) all += part;
  return all;
}

/** The result or error of a call, and its time. */
async function timed(call) {
  const start = performance.now();
  let found = 'done';
  try {
    await call();
  } catch (error) {
    found = `${error.name} ${error.code ?? ''}`;
  }
  return { found, ms: performance.now() - start };
}

async function crop([width, height], preprocessing) {
  const { preprocess } = await of('image/resize/preprocess.js');
  const data = new Uint8Array(3 * width * height);
  return timed(() => preprocess({ width, height, data }, preprocessing));
}

async function checkpoint(name) {
  const { readFloatModel } = await of('quantize/index.js');
  const { writeSafetensors } = await of('checkpoint/safetensors/safetensors.js');
  const tensor = (_, i) => ({ name: name(i), dtype: 'F32', shape: [0], data: new Uint8Array() });
  const bytes = writeSafetensors(Array.from({ length: 99_000 }, tensor), {});
  return timed(() => readFloatModel(bytes));
}

/** A description with twice the products of timm's largest model. */
async function heavy() {
  const { readIntegerModel } = await of('checkpoint/integer/model.js');
  const { readSafetensors, writeSafetensors } = await of('checkpoint/safetensors/safetensors.js');
  const { tensors, metadata } = readSafetensors(new Uint8Array(readFileSync(MODEL)));
  const json = JSON.parse(metadata.fqvit);
  // each multiplies 4097 rows by 16384 × 16384 weights
  const wide = {
    ...json.layers.find(({ name }) => name.endsWith('fc2.out')),
    outputs: 16384,
    reads: ['stem.out'],
  };
  const names = Array.from({ length: 9 }, (_, i) => `wide${i}`);
  const stem = json.layers.findIndex(({ name }) => name === 'stem.out');
  json.layers.splice(
    stem + 1,
    0,
    ...names.map((name, i) => ({ ...wide, name, reads: [names[i - 1] ?? 'stem.out'], parameters: name })),
  );
  const bytes = writeSafetensors(tensors.values(), { ...metadata, fqvit: JSON.stringify(json) });
  const row = await timed(() => readIntegerModel(bytes));
  return { ...row, bytes: bytes.length };
}

/** Loads a program of 4,000 layers, half of whose activations live at the same time. */
async function layers() {
  const { load } = await of('index.js');
  const { seal } = await of('checkpoint/integer/digest.js');
  const { readSafetensors, writeSafetensors } = await of('checkpoint/safetensors/safetensors.js');
  const { tensors, metadata } = readSafetensors(new Uint8Array(readFileSync(MODEL)));
  const json = JSON.parse(metadata.fqvit);
  const stem = json.layers.findIndex(({ name }) => name === 'stem.out');
  const [norm] = json.layers.filter(({ name }) => name === 'blocks.0.norm1.out');
  const last = json.layers.find(({ name }) => name === 'norm.out');
  const norms = Array.from({ length: 2000 }, (_, i) => `norm${i}`);
  const sums = norms.map((_, i) => `sum${i}`);
  json.layers = [
    ...json.layers.slice(0, stem + 1),
    ...norms.map((name) => ({ ...norm, name, parameters: name })),
    ...sums.map((name, i) => ({ ...json.layers[stem], name, reads: [sums[i - 1] ?? 'stem.out', norms[i]] })),
    { ...last, reads: [sums.at(-1)] },
  ];
  json.outputs = { features: { layer: 'norm.out', tokens: 1 } };
  json.labels = [];
  json.architecture.classes = 0;
  const as = (name, source) => ({ ...tensors.get(source), name });
  const kept = [...tensors.values()].filter(({ name }) => !/^(blocks|head)\./.test(name));
  const own = [
    ...norms.flatMap((name) =>
      ['gain', 'bias'].map((what) => as(`${name}.${what}`, `blocks.0.norm1.${what}`)),
    ),
    ...sums.map((name) => as(`${name}.multiplier`, 'stem.out.multiplier')),
  ];
  const document = { fqvit: JSON.stringify(json), sha256: '0'.repeat(64) };
  const bytes = await seal(writeSafetensors([...kept, ...own], document));
  return { ...(await timed(() => load(bytes))), bytes: bytes.length };
}

/** A small ONNX model: zeros of a large shape, and a node that reads them. */
async function graph(op, inputs, ...shape) {
  const { BinaryWriter } = await import('@bufbuild/protobuf/wire');
  const message = (fields) => {
    const writer = new BinaryWriter();
    for (const [field, value] of fields) {
      if (typeof value === 'number') writer.tag(field, 0).int64(value);
      else if (typeof value === 'string') writer.tag(field, 2).string(value);
      else writer.tag(field, 2).bytes(value);
    }
    return writer.finish();
  };
  const data = new Uint8Array(BigInt64Array.from(shape, BigInt).buffer);
  const tensor = message([
    [1, shape.length],
    [2, 7],
    [8, 'shape'],
    [9, data],
  ]);
  const node = (type, takes, gives) => [
    1,
    message([
      ...takes.map((name) => [1, name]),
      [2, gives],
      [4, type],
      [
        5,
        message([
          [1, 'axis'],
          [3, 1],
        ]),
      ],
    ]),
  ];
  const value = (name, sizes) => {
    const dims = message(sizes.map((size) => [1, message([[1, size]])]));
    const type = message([
      [
        1,
        message([
          [1, 1],
          [2, dims],
        ]),
      ],
    ]);
    return message([
      [1, name],
      [2, type],
    ]);
  };
  const takes = op === 'Concat' ? inputs : ['image', ...inputs];
  const body = message([
    node('ConstantOfShape', ['shape'], 'many'),
    node(op, takes, 'y'),
    [5, tensor],
    [11, value('image', [1, 3, 8, 8])],
    [12, value('y', [1, 3])],
  ]);
  const bytes = message([
    [1, 8],
    [7, body],
    [8, message([[2, 17]])],
  ]);
  const { readFloatModel } = await of('quantize/index.js');
  const row = await timed(() => readFloatModel(bytes));
  return { ...row, bytes: bytes.length };
}

async function labels(list) {
  const { parseLabels } = await of('quantize/index.js');
  return timed(() => parseLabels(list));
}

function picture(size) {
  return { width: size, height: size, data: new Uint8Array(3 * size * size) };
}

/** Time from the abort, which is due after 0.5 s and may be late itself, to the rejection. */
async function late(classify) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), 500);
  const { found, ms } = await timed(() => classify(controller.signal));
  return { found, ms: ms - 500 };
}

async function abort(threads = 1) {
  const { load } = await of('index.js');
  const model = await load(MODEL, { threads });
  return late((signal) => model.classify(picture(64), { signal }));
}

async function abortFloat() {
  const { loadFloat } = await of('float.js');
  const model = await loadFloat(`${MODEL}.float.safetensors`);
  return late((signal) => model.classify(picture(64), { signal }));
}

/** The longest delay of a 10 ms timer. */
async function timers() {
  const { load } = await of('index.js');
  const model = await load(MODEL);
  let last = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last - 10);
    last = performance.now();
  }, 10);
  const { found } = await timed(() => model.classify(picture(64)));
  clearInterval(timer);
  return { found, ms: Math.max(longest, performance.now() - last - 10) };
}

async function poolLimit() {
  const { createPool } = await of('pool/index.js');
  const pool = await createPool(MODEL, { workers: 1 });
  const { found, ms } = await timed(() => pool.classify(picture(64), { limitMs: 1000 }));
  return { found, ms: ms - 1000 };
}

/** What happens to an image that waits for a worker whose current image takes too long. */
async function poolOther() {
  const { createPool } = await of('pool/index.js');
  const pool = await createPool(MODEL, { workers: 1 });
  const slow = timed(() => pool.classify(picture(64), { limitMs: 1000 }));
  const other = await timed(() => pool.classify(new Uint8Array(3), { limitMs: 1000 }));
  await slow;
  return { found: other.found, ms: other.ms - 1000 };
}

async function batch() {
  const photo = fileURLToPath(new URL('../../examples/chelsea.png', import.meta.url));
  for (const name of 'abc') copyFileSync(photo, join(work, `${name}.png`));
  writeFileSync(join(work, 'list.txt'), 'a.png\nb.png\nc.png\n');
  const out = join(work, 'out.jsonl');
  const args = ['batch', 'list.txt', '-o', out, '--overwrite', '--model', MODEL, '--workers', '1'];
  const start = performance.now();
  const run = (more) =>
    spawnSync(process.execPath, [join(DIST, 'cli/main.js'), ...args, ...more], { cwd: work });
  let { status } = run(['--image-timeout', '1']);
  if (status === 2) ({ status } = run([])); // a version without the option
  const codes = readFileSync(out, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).error?.code ?? 'answered');
  return { found: `exit ${status}: ${codes.join()}`, ms: performance.now() - start };
}

/** A quantised model of one block, with the block copied. */
async function makeModel() {
  const { readFloatModel } = await of('quantize/index.js');
  const { calibrate } = await of('quantize/calibrate.js');
  const { integerize } = await of('quantize/integerize.js');
  const { writeIntegerModel } = await of('checkpoint/integer/model.js');
  const { seal } = await of('checkpoint/integer/digest.js');
  const { vitNames, plainVit, vitShape } = await of('checkpoint/names/vit-names.js');
  const { writeSafetensors } = await of('checkpoint/safetensors/safetensors.js');
  const sizes = { dim: 8, patchSize: 1, mlpDim: 8, classes: 3, registers: 0, positions: 4097 };
  const tensors = (depth) =>
    vitNames(plainVit(depth)).map((name) => {
      const shape = vitShape(name, sizes);
      const count = shape.reduce((a, b) => a * b, 1);
      const data = new Uint8Array(Float32Array.from({ length: count }, (_, i) => Math.sin(i + 1)).buffer);
      return { name, dtype: 'F32', shape, data };
    });
  const fqvit = JSON.stringify({ architecture: 'vit', num_heads: 1, crop_pct: 1 });
  const float = (depth) => writeSafetensors(tensors(depth), { fqvit });
  writeFileSync(`${MODEL}.float.safetensors`, float(64));
  const one = readFloatModel(float(1));
  const observed = { observer: 'minmax', ptf: false, wasm: readFileSync(`${DIST}/../wasm/fqvit.float.wasm`) };
  const pixels = new Uint8Array(3 * 64 ** 2).map((_, i) => i);
  const { quantizers } = await calibrate(one, [pixels], 1, observed);
  const copies = (name) =>
    Array.from({ length: name.startsWith('blocks.') ? 256 : 1 }, (_, i) => name.replace('.0.', `.${i}.`));
  const all = [...quantizers].flatMap(([name, value]) => copies(name).map((copy) => [copy, value]));
  const recipe = {
    ...{ method: 'minmax', observer: 'minmax', ptf: false, attention: 'uniform', weightBits: 8 },
    ...{ activationBits: 8, calibrationImages: 1, seed: null, sourceSha256: '0'.repeat(64) },
  };
  const model = integerize(readFloatModel(float(256)), new Map(all), recipe);
  writeFileSync(MODEL, await seal(writeIntegerModel(model)));
}
