// Index arithmetic inside the neighbouring kernels against copies of the whole map, around the
// attention of a Swin-T block of each stage. After 20 warm-up runs the two take turns, --runs
// times: the medians, and the median of the ratios of the pairs:
//   npm run build:wasm && node bench/window.mjs [--runs 200] [--json]
import { readFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';
import { tiers, Workspace } from './kernels.mjs';
import { median, option, report } from './support.mjs';

const WINDOW = 7;
// a map that is one window is not shifted
const STAGES = [
  { side: 56, c: 96, shift: 3 },
  { side: 28, c: 192, shift: 3 },
  { side: 14, c: 384, shift: 3 },
  { side: 7, c: 768, shift: 0 },
];
const WARM_UP = 20;
const runs = Number(option('runs', 200));

/** Kernels that the package does not need: a map to window order, and back. */
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

async function copyModule() {
  const window = readFileSync(new URL('../assembly/window/window.ts', import.meta.url), 'utf8');
  const { options } = JSON.parse(readFileSync(new URL('../asconfig.json', import.meta.url), 'utf8'));
  const { binary, error, stderr } = await asc.compileString(
    { 'copy.ts': COPY, 'window.ts': window },
    options,
  );
  if (error) throw new Error(stderr.toString());
  return new WebAssembly.Module(binary);
}

const copying = await copyModule();

// norm1 of the map to rows `out` in window order; then map `out` = map + `rows` in window order
function ways(workspace, { side, c, shift }) {
  const { kernels } = workspace;
  const copies = workspace.instantiate(copying);
  const tokens = side ** 2;
  const [map, rows, out, copied] = [0, 0, 0, 0].map(() => workspace.codes(tokens * c));
  const power = workspace.put(new Int16Array(c).fill(1));
  const gain = workspace.integers(c, 2 ** 30);
  const bias = workspace.integers(c, 0);
  const multiplier = workspace.integers(c, 2 ** 19);
  const order = [side, WINDOW, shift];
  const whole = [0, tokens / WINDOW];
  const norm = [map, 120, power, gain, bias, 37];
  const sum = (b) => [map, 120, multiplier, b, 120, multiplier, 20, out, 128];
  const calls = {
    inside: [
      () => kernels.layernorm_windows(...norm, out, 128, 255, c, ...order, ...whole),
      () => kernels.add_windows(...sum(rows), c, ...order, ...whole),
    ],
    copies: [
      () => {
        kernels.layernorm(...norm, copied, 128, 255, tokens, c);
        copies.to_windows(copied, out, c, ...order);
      },
      () => {
        copies.from_windows(rows, copied, c, ...order);
        kernels.add(...sum(copied), tokens, c);
      },
    ],
  };
  const output = (call) => {
    call();
    return Buffer.from(workspace.memory.buffer.slice(out, out + tokens * c));
  };
  for (const [i, call] of calls.inside.entries()) {
    if (!output(call).equals(output(calls.copies[i]))) throw new Error('the two ways differ');
  }
  return calls;
}

function measure(tier, stage) {
  const { side, c } = stage;
  const calls = ways(new Workspace(tier), stage);
  const names = Object.keys(calls);
  const times = Object.fromEntries(names.map((name) => [name, []]));
  for (let i = -WARM_UP; i < runs; i++) {
    for (const name of i % 2 === 0 ? names : names.toReversed()) {
      const start = performance.now();
      for (const call of calls[name]) call();
      if (i >= 0) times[name].push(1000 * (performance.now() - start));
    }
  }
  return {
    map: `${side}×${side}×${c}`,
    tier,
    insideUs: median(times.inside),
    copiesUs: median(times.copies),
    'copies/inside': median(times.copies.map((us, i) => us / times.inside[i])),
    savedKB: (4 * side ** 2 * c) / 1000, // both copies read and write the map
  };
}

report(
  'window',
  { runs },
  STAGES.flatMap((stage) => tiers.map((tier) => measure(tier, stage))),
);
