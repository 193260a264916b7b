// Index arithmetic inside the neighbouring kernels against copies of the whole map, around the attention of a Swin-T block of
// each stage (SIMD tier): `npm run build:wasm && node bench/window.mjs [--runs 200] [--json]`
import { readFileSync } from 'node:fs';
import loader from '@assemblyscript/loader';
import asc from 'assemblyscript/asc';
import { json, machine, median, option, tiers } from './support.mjs';

const WINDOW = 7;
// a map that is one window is not shifted
const STAGES = [
  { side: 56, c: 96, shift: 3 },
  { side: 28, c: 192, shift: 3 },
  { side: 14, c: 384, shift: 3 },
  { side: 7, c: 768, shift: 0 },
];
const runs = Number(option('runs', 200));

/** Kernels that the package does without: a map to window order, and back. */
const COPY = `
import { lineColumn, lineRow, lineToken } from './window';

export function to_windows(map: usize, out: usize, c: usize, side: i32, window: i32, shift: i32): void {
  for (let line = 0; line < side * (side / window); line++) {
    const y = lineRow(line, side, window, shift), x = lineColumn(line, side, window, shift);
    for (let i = 0; i < window; i++) {
      memory.copy(out, map + <usize>lineToken(y, x, i, side) * c, c);
      out += c;
    }
  }
}

export function from_windows(rows: usize, out: usize, c: usize, side: i32, window: i32, shift: i32): void {
  for (let line = 0; line < side * (side / window); line++) {
    const y = lineRow(line, side, window, shift), x = lineColumn(line, side, window, shift);
    for (let i = 0; i < window; i++) {
      memory.copy(out + <usize>lineToken(y, x, i, side) * c, rows, c);
      rows += c;
    }
  }
}
`;

async function copyKernels(memory) {
  const window = readFileSync(new URL('../assembly/window/window.ts', import.meta.url), 'utf8');
  const { options } = JSON.parse(readFileSync(new URL('../asconfig.json', import.meta.url), 'utf8'));
  const { binary, error, stderr } = await asc.compileString(
    { 'copy.ts': COPY, 'window.ts': window },
    options,
  );
  if (error) throw new Error(stderr.toString());
  return loader.instantiateSync(binary, { env: { memory } }).exports;
}

const MAP = 1 << 16,
  ROWS = 1 << 20,
  OUT = 2 << 20,
  COPIED = 3 << 20,
  PARAMETERS = 4 << 20;
const { simd } = tiers(5 << 20);
const copies = await copyKernels(simd.memory);
const powers = PARAMETERS,
  gain = PARAMETERS + 8192,
  bias = PARAMETERS + 16384;
new Int16Array(simd.memory.buffer, powers, 768).fill(1);

// norm1 of the map MAP to rows OUT in window order; then the map OUT = the map MAP + the rows ROWS in window order
const ways = ({ side, c, shift }) => {
  const order = [side, WINDOW, shift];
  const parameters = [powers, gain, bias, 40];
  return {
    inside: [
      () => simd.layernorm_windows(MAP, 120, ...parameters, OUT, 128, c, ...order),
      () => simd.add_windows(MAP, 120, gain, ROWS, 120, bias, 20, OUT, 128, c, ...order),
    ],
    copies: [
      () => {
        simd.layernorm(MAP, 120, ...parameters, COPIED, 128, side ** 2, c);
        copies.to_windows(COPIED, OUT, c, ...order);
      },
      () => {
        copies.from_windows(ROWS, COPIED, c, ...order);
        simd.add(MAP, 120, gain, COPIED, 120, bias, 20, OUT, 128, side ** 2, c);
      },
    ],
  };
};

function expectSame({ inside, copies }, bytes) {
  const output = (call) => {
    call();
    return Buffer.from(simd.memory.buffer.slice(OUT, OUT + bytes));
  };
  for (const [i, call] of inside.entries()) {
    if (!output(call).equals(output(copies[i]))) throw new Error('the two ways differ');
  }
}

const rows = STAGES.map((stage) => {
  const { side, c } = stage;
  const bytes = side ** 2 * c;
  const calls = ways(stage);
  expectSame(calls, bytes);
  const names = Object.keys(calls);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let i = -20; i < runs; i++) {
    for (const name of i % 2 === 0 ? names : names.toReversed()) {
      const start = performance.now();
      for (const call of calls[name]) call();
      if (i >= 0) times[name].push(1000 * (performance.now() - start));
    }
  }
  return {
    map: `${side}×${side}×${c}`,
    insideUs: median(times.inside),
    copiesUs: median(times.copies),
    ratio: median(times.copies.map((us, i) => us / times.inside[i])),
    savedKB: (4 * bytes) / 1000, // both copies read and write the map
  };
});
if (json) console.log(JSON.stringify({ machine: machine(), title: 'window', runs, rows }));
else {
  console.log('window', machine());
  console.table(
    rows.map((row) => ({
      ...row,
      insideUs: +row.insideUs.toFixed(1),
      copiesUs: +row.copiesUs.toFixed(1),
      ratio: +row.ratio.toFixed(3),
    })),
  );
  console.log(`ratio: copies / inside, median of ${runs} pairs`);
}
