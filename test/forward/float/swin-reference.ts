/**
 * The float Swin in plain f64 loops, one image at a time; it shifts, cuts and joins maps literally.
 */
import type { SwinArchitecture } from '../../../src/architecture/architecture.js';
import type { FloatModel } from '../../../src/checkpoint/float/model.js';
import { gelu, type Rows, referenceLayers, softmax } from './reference.js';

/** `[side][side]` of any type. */
type Grid<T> = T[][];

/** Moves every cell by `by` along both axes, around the edges, as torch.roll. */
function roll<T>(map: Grid<T>, by: number): Grid<T> {
  const side = map.length;
  const out = map.map((row) => [...row]);
  map.forEach((row, y) => {
    row.forEach((cell, x) => {
      out[(y + by + side) % side]![(x + by + side) % side] = cell;
    });
  });
  return out;
}

function windowsOf<T>(map: Grid<T>, w: number): T[][] {
  const windows: T[][] = [];
  for (let top = 0; top < map.length; top += w)
    for (let left = 0; left < map.length; left += w)
      windows.push(map.slice(top, top + w).flatMap((row) => row.slice(left, left + w)));
  return windows;
}

function fromWindows<T>(windows: T[][], side: number, w: number): Grid<T> {
  return Array.from({ length: side }, (_, y) =>
    Array.from({ length: side }, (_, x) => {
      const window = Math.floor(y / w) * (side / w) + Math.floor(x / w);
      return windows[window]![(y % w) * w + (x % w)]!;
    }),
  );
}

const toGrid = <T>(cells: readonly T[], side: number): Grid<T> =>
  Array.from({ length: side }, (_, y) => cells.slice(y * side, (y + 1) * side));

/** The nine regions of a shifted map, which the original numbers by slices. */
function regionIds(side: number, w: number, shift: number): Grid<number> {
  const map: Grid<number> = Array.from({ length: side }, () => Array(side).fill(-1));
  const slices = [
    [0, side - w],
    [side - w, side - shift],
    [side - shift, side],
  ] as const;
  let id = 0;
  for (const [top, bottom] of slices)
    for (const [left, right] of slices) {
      for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) map[y]![x] = id;
      id++;
    }
  return map;
}

/** Every tensor of one image that has a quantiser, by name, flattened. */
export function forwardSwin(model: FloatModel, pixels: Uint8Array): Map<string, number[]> {
  const architecture = model.architecture as FloatModel['architecture'] & SwinArchitecture;
  const { depths } = architecture;
  const { data, seen, emit, linear, norm, plus, patches } = referenceLayers(model, pixels);
  const convolved = emit('patch_embed.conv.out', linear(patches, 'patch_embed.proj'));
  let x = emit('stem.out', norm(convolved, 'patch_embed.norm'));

  depths.forEach((depth, i) => {
    const side = Math.sqrt(x.length);
    const heads = architecture.heads[i]!;
    const w = Math.min(side, architecture.window);
    const d = x[0]!.length / heads;
    for (let n = 0; n < depth; n++) {
      const name = `layers.${i}.blocks.${n}`;
      const shift = side > architecture.window && n % 2 === 1 ? Math.floor(w / 2) : 0;
      const windows = windowsOf(roll(toGrid(norm(x, `${name}.norm1`), side), -shift), w);
      const regions = windowsOf(regionIds(side, w, shift), w);
      emit(`${name}.norm1.out`, windows.flat());
      const qkv = windows.map((rows) => linear(rows, `${name}.attn.qkv`));
      emit(`${name}.attn.qkv.out`, qkv.flat());
      const part = (row: number[], which: number, h: number) =>
        row.slice((which * heads + h) * d, (which * heads + h + 1) * d);
      const eachHead = <T>(f: (h: number) => T) => Array.from({ length: heads }, (_, h) => f(h));
      const products = qkv.map((rows) =>
        eachHead((h) =>
          rows.map((q) =>
            rows.map((k) =>
              part(k, 1, h).reduce((sum, v, c) => sum + (v * part(q, 0, h)[c]!) / Math.sqrt(d), 0),
            ),
          ),
        ),
      );
      emit(`${name}.attn.qk`, products.flat(2));
      const table = Array.from(data(`${name}.attn.relative_position_bias_table`));
      emit(`${name}.attn.bias_table`, [table]);
      const bias = (a: number, b: number, h: number) => {
        const dy = Math.floor(a / w) - Math.floor(b / w);
        const dx = (a % w) - (b % w);
        return table[((dy + w - 1) * (2 * w - 1) + (dx + w - 1)) * heads + h]!;
      };
      const scores = products.map((perHead) =>
        perHead.map((rows, h) => rows.map((row, a) => row.map((s, b) => s + bias(a, b, h)))),
      );
      emit(`${name}.attn.scores`, scores.flat(2));
      const probabilities = scores.map((perHead, m) =>
        perHead.map((rows) =>
          rows.map((row, a) =>
            softmax(row.map((s, b) => (shift > 0 && regions[m]![a] !== regions[m]![b] ? s - 100 : s))),
          ),
        ),
      );
      emit(`${name}.attn.probs`, probabilities.flat(2));
      const context = qkv.map((rows, m) =>
        rows.map((_, a) =>
          eachHead((h) =>
            Array.from({ length: d }, (_, c) =>
              probabilities[m]![h]![a]!.reduce((sum, p, b) => sum + p * part(rows[b]!, 2, h)[c]!, 0),
            ),
          ).flat(),
        ),
      );
      emit(`${name}.attn.context`, context.flat());
      const projected = context.map((rows) => linear(rows, `${name}.attn.proj`));
      emit(`${name}.attn.proj.out`, projected.flat());
      x = emit(`${name}.residual1.out`, plus(x, roll(fromWindows(projected, side, w), shift).flat()));
      const hidden = linear(emit(`${name}.norm2.out`, norm(x, `${name}.norm2`)), `${name}.mlp.fc1`);
      const active = emit(
        `${name}.mlp.gelu.out`,
        hidden.map((row) => row.map(gelu)),
      );
      const branch = emit(`${name}.mlp.fc2.out`, linear(active, `${name}.mlp.fc2`));
      x = emit(`${name}.residual2.out`, plus(x, branch));
    }
    if (i + 1 === depths.length) return;
    const map = toGrid(x, side);
    const merged: Rows = [];
    for (let y = 0; y < side; y += 2)
      for (let z = 0; z < side; z += 2)
        merged.push([map[y]![z]!, map[y + 1]![z]!, map[y]![z + 1]!, map[y + 1]![z + 1]!].flat());
    const normed = emit(`layers.${i}.downsample.norm.out`, norm(merged, `layers.${i}.downsample.norm`));
    x = emit(`layers.${i}.downsample.reduction.out`, linear(normed, `layers.${i}.downsample.reduction`));
  });

  const normed = emit('norm.out', norm(x, 'norm'));
  const pooled = emit('pooled', [
    normed[0]!.map((_, c) => normed.reduce((sum, row) => sum + row[c]!, 0) / normed.length),
  ]);
  emit('logits', linear(pooled, 'head'));
  return seen;
}
