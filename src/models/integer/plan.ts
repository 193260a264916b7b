import { activationBits, highestCode, weightBits } from '../../checkpoint/integer-layout.js';
import type { IntegerModel } from '../../checkpoint/integer-model.js';
import { unpackNibbles } from '../../checkpoint/nibbles.js';
import type { IntegerKernels } from '../../runtime/kernels.js';
import { MemoryPlan } from '../../runtime/memory.js';
import { barrierCall, TEAM_BYTES } from '../../runtime/threads.js';
import { ELEMENT_MACS } from '../passes.js';
import { arrange } from './arrange.js';
import { type Call, execute, inGroups, link, type Part, type Range, share, shareHeads } from './calls.js';

/**
 * Where an activation lies: u8 codes `[rows, columns]`, `stride` bytes from row to row (u16 for
 * `mlp.fc1.fine`).
 */
export interface Buffer {
  readonly address: number;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
}

/** The kernel calls that make one tensor: one, or one per head or window. */
export interface PlanStep {
  /**
   * Its output, by the name of the quantiser (`blocks.0.attn.softmax` for attention codes).
   */
  readonly output: string;
  /** The activations it reads. */
  readonly reads: readonly string[];
  readonly kernel: keyof IntegerKernels;
  /** Rows and columns of the output. */
  readonly shape: readonly [rows: number, columns: number];
  /** Multiply-accumulates of the products. */
  readonly macs: number;
  /** Bytes of the tensors, weights and tables it reads and writes, each counted once. */
  readonly bytes: number;
  /** Bytes of scratch memory it needs. */
  readonly scratchBytes: number;
  /** The calls of one thread. The next step may begin when all threads are done. */
  readonly calls: (part: Part) => Call[];
  /** Makes the whole tensor. */
  readonly run: (kernels: IntegerKernels) => void;
}

/** Attention heads over windows of `tokens` tokens each. A DeiT has one window. */
export interface AttentionShape {
  readonly windows: number;
  readonly tokens: number;
  readonly heads: number;
  readonly dim: number;
  /** The first tokens of a window, whose attention is computed. */
  readonly queries: number;
}

/**
 * Rows of a map of side × side tokens in window order after a cyclic shift
 * (assembly/window/window.ts).
 */
export interface WindowOrder {
  readonly side: number;
  readonly window: number;
  readonly shift: number;
}

type Fill = (memory: ArrayBufferLike, kernels: IntegerKernels) => void;

/**
 * One of several passes that run at the same time over the same weights. Each has its own
 * activations and scratch memory.
 */
export interface Lane {
  readonly index: number;
  readonly count: number;
}

const ONE_LANE: Lane = { index: 0, count: 1 };

/** Weights, tables and parameters in memory. */
export interface Constant {
  readonly address: number;
  readonly bytes: number;
}

/** An activation whose address is not decided yet. */
interface Activation {
  address: number;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
  /** Includes the rows after the last that kernels may read. */
  readonly bytes: number;
  /** The step that makes it, and the step that reads it last. */
  first: number;
  last: number;
}

interface StepOptions {
  readonly kernel: keyof IntegerKernels;
  readonly reads: readonly string[];
  readonly constants?: readonly Constant[];
  readonly macs?: number;
  readonly scratchBytes?: number;
  readonly calls: PlanStep['calls'];
}

interface BufferOptions {
  /** Bytes from row to row. Default: the number of columns. */
  readonly stride?: number;
  /** Rows after the last that kernels may read. */
  readonly slack?: number;
}

interface LinearOptions {
  readonly kernel?: 'linear' | 'linear_fine';
  /** Rows after the last that kernels may read. */
  readonly slack?: number;
  /** How many outputs, counted from the first, exist for the first `firstRows` rows only. */
  readonly first?: number;
  readonly firstRows?: number;
}

/** Bytes of a cache line, which two threads should not both write. */
const CACHE_LINE = 64;

/** Rows of a tile of a linear layer. Threads share rows in groups of this size. */
const TILE = 4;

export const roundUp = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;

/** Bytes of a panel of weights with `inputs` inputs (assembly/gemm/layout.ts). */
const panelBytes = (inputs: number) => 8 * inputs + 32;

/** The rows that `linear` packs at once (`CHUNK_BYTES` of assembly/gemm/gemm.simd.ts). */
const LINEAR_CHUNK = 2 ** 18;
/** The panels that it widens at once (`BLOCK_BYTES` there). */
const LINEAR_BLOCK = 2 ** 15;

/** Scratch of the softmax, without a masked row (`SCRATCH` of assembly/softmax/softmax.simd.ts). */
const SOFTMAX_SCRATCH = 2416;

/**
 * The forward pass of an integer model as kernel calls over memory that is planned once. The layers
 * that DeiT, ViT and Swin share are methods; vit.ts and swin.ts call them in the order of the
 * paper's Figure 2.
 */
export class ModelPlan {
  readonly steps: PlanStep[] = [];
  /** Fills the memory at the start. */
  readonly fills: Fill[] = [];
  /** The fills that every lane needs. */
  readonly laneFills: Fill[] = [];
  readonly memory = new MemoryPlan();
  #scratch = 0;
  #team = 0;
  #activationBytes = 0;
  /** Inputs of the widest linear layer; eight of its rows pass through scratch. */
  #widest = 0;
  readonly #activations = new Map<string, Activation>();

  /** @param threads that share the forward pass; each has its own scratch memory */
  constructor(
    readonly model: IntegerModel,
    readonly threads = 1,
    readonly lane: Lane = ONE_LANE,
  ) {}

  get buffers(): ReadonlyMap<string, Buffer> {
    return this.#activations;
  }

  get scratchBytes(): number {
    return Math.max(...this.steps.map((step) => step.scratchBytes), 8 * this.#widest);
  }

  /** Bytes of the region that all activations share. */
  get activationBytes(): number {
    return this.#activationBytes;
  }

  /** Places the activations: those that do not live at the same time share memory. */
  finish(): this {
    const activations = [...this.#activations.values()].filter(({ address }) => address === 0);
    this.#activationBytes = arrange(activations);
    const scratchAt = roundUp(this.#activationBytes + 16, CACHE_LINE);
    const bytes = scratchAt + this.threads * this.#scratchStride + CACHE_LINE;
    const start = this.memory.reserve(this.lane.count * bytes) + this.lane.index * bytes;
    for (const activation of activations) activation.address += start;
    this.#scratch = start + scratchAt;
    if (this.threads > 1) this.#team = roundUp(this.memory.reserve(TEAM_BYTES + CACHE_LINE), CACHE_LINE);
    return this;
  }

  /** An activation that later steps make and read. */
  buffer(
    name: string,
    rows: number,
    columns: number,
    { stride = columns, slack = 0 }: BufferOptions = {},
  ): Buffer {
    const bytes = roundUp((rows + slack) * stride + 16, 16);
    const born = this.steps.length;
    const activation = { address: 0, rows, columns, stride, bytes, first: born, last: born };
    this.#activations.set(name, activation);
    return activation;
  }

  /** A buffer that keeps what `fill` writes at the start and what steps write. */
  keptBuffer(name: string, rows: number, columns: number, fill: (memory: Uint8Array) => void): Buffer {
    const buffer = this.buffer(name, rows, columns);
    const kept = this.#activations.get(name)!;
    kept.first = 0;
    kept.last = Number.POSITIVE_INFINITY;
    const write: Fill = (memory) => fill(new Uint8Array(memory, buffer.address, rows * columns));
    this.fills.push(write);
    this.laneFills.push(write);
    return buffer;
  }

  /** A buffer that is never written. */
  constantBuffer(name: string, rows: number, columns: number, address: number): void {
    const bytes = rows * columns;
    this.#activations.set(name, { address, rows, columns, stride: columns, bytes, first: 0, last: 0 });
  }

  /** Keeps the activation readable after the last step. */
  keep(name: string): void {
    this.#activations.get(name)!.last = Number.POSITIVE_INFINITY;
  }

  /** Its address is known when the plan is finished. */
  activation(name: string): Buffer {
    return this.#activations.get(name)!;
  }

  get scratch(): number {
    return this.#scratch;
  }

  /** A single thread that does everything. */
  get whole(): Part {
    return this.part(0, 1);
  }

  part(index: number, count: number): Part {
    return { index, count, scratch: this.#scratch + index * this.#scratchStride };
  }

  get #scratchStride(): number {
    return roundUp(this.scratchBytes, CACHE_LINE);
  }

  /** Address of the state that the threads share (runtime/threads.ts). */
  get team(): number {
    return this.#team;
  }

  /** All calls of a thread; with several threads, a barrier after each step. */
  calls(thread: number): Call[] {
    const part = this.part(thread, this.threads);
    const barrier = this.threads > 1 ? [barrierCall(this.#team, this.threads)] : [];
    return this.steps.flatMap(({ calls }) => [...calls(part), ...barrier]);
  }

  /** Appends the step that makes `output`. */
  step(
    output: string,
    { reads, constants = [], macs = 0, scratchBytes = 0, kernel, calls }: StepOptions,
  ): void {
    const { rows, columns } = this.#activations.get(output)!;
    let bytes = 0;
    for (const name of new Set([...reads, output])) {
      const activation = this.#activations.get(name)!;
      activation.last = Math.max(activation.last, this.steps.length);
      bytes += activation.rows * activation.stride;
    }
    for (const constant of constants) bytes += constant.bytes;
    const run = (kernels: IntegerKernels) => execute(link(calls(this.whole), kernels));
    this.steps.push({ output, reads, kernel, shape: [rows, columns], macs, bytes, scratchBytes, calls, run });
  }

  /** Pixels to the rows of the patch embedding's matrix, then its product. */
  patchEmbedding(output: string): void {
    const { imageSize, patchSize } = this.model.architecture;
    const patches = (imageSize / patchSize) ** 2;
    const length = roundUp(3 * patchSize ** 2, 8);
    const pixels = this.buffer('pixels', imageSize, 3 * imageSize);
    const input = this.buffer('input', patches, length);
    const table = this.constant('input.table');
    const zero = this.zeroPoint('input');
    this.step('input', {
      kernel: 'patches',
      reads: ['pixels'],
      constants: [table],
      calls: (part) => {
        const [from, to] = share(patches, part);
        const out = input.address + from * length;
        return [
          [
            'patches',
            pixels.address,
            table.address,
            zero,
            imageSize,
            patchSize,
            length,
            from,
            to - from,
            out,
          ],
        ];
      },
    });
    this.linear('patch_embed.proj', 'input', output);
  }

  /**
   * Makes the buffer `to` = linear layer `name` of the buffer `from`. `linear_fine` makes the index
   * of a GELU table.
   */
  linear(
    name: string,
    from: string,
    to = `${name}.out`,
    { kernel = 'linear', slack = 0, first = 0, firstRows = 0 }: LinearOptions = {},
  ): Buffer {
    const input = this.activation(from);
    const { rows, columns } = input;
    const out = this.model.tensors.get(`${name}.bias`)!.length;
    const n = roundUp(out, 8);
    const size = kernel === 'linear' ? 1 : 2;
    const output = this.buffer(to, rows, out, { stride: size * n, slack });
    const { left, right, zeroPoint } = this.integers(name);
    const weight = this.weight(name, out, columns);
    const bias = this.constant(`${name}.bias`, n);
    const multiplier = this.constant(`${name}.multiplier`, n);
    const za = this.zeroPoint(from);
    const zo = zeroPoint ?? this.zeroPoint(to);
    const { recipe } = this.model;
    const aBits = activationBits(from, recipe);
    const wBits = weightBits(name, recipe);
    const packed = Math.min(2 * columns * roundUp(rows, TILE), Math.max(LINEAR_CHUNK, 8 * columns));
    /** Rows `from` to `to` of outputs `at` to `end`. */
    const call = ([from, to]: Range, at: number, end: number, scratch: number): Call[] =>
      at === end
        ? []
        : inGroups([from, to], (end - at) * columns).map(([row, count]) => [
            kernel,
            input.address + row * input.stride,
            input.stride,
            za,
            aBits,
            weight.address + (at / 8) * panelBytes(columns),
            wBits,
            bias.address + 4 * at,
            multiplier.address + 4 * at,
            left!,
            right!,
            output.address + size * (row * n + at),
            n,
            zo,
            count,
            end - at,
            columns,
            scratch,
          ]);
    this.step(to, {
      kernel,
      reads: [from],
      constants: [weight, bias, multiplier],
      macs: (rows * (out - first) + firstRows * first) * weight.inputs,
      scratchBytes: packed + Math.max(LINEAR_BLOCK, 16 * columns),
      calls: (part) => [
        ...call(share(firstRows, part, TILE), 0, first, part.scratch),
        ...call(share(rows, part, TILE), first, n, part.scratch),
      ],
    });
    return output;
  }

  /**
   * Makes the buffer `to` = LayerNorm `name` of the rows of `from`.
   *
   * @param rows how many rows, counted from the first. Default: all
   * @param joined whether they become one row
   * @param order writes the rows in window order, or reads 2×2 patches of a map of `merge` ×
   *   `merge` tokens
   */
  layerNorm(
    name: string,
    from: string,
    to = `${name}.out`,
    {
      rows: wanted,
      joined = false,
      order,
    }: { rows?: number; joined?: boolean; order?: WindowOrder | { merge: number } } = {},
  ): Buffer {
    const input = this.activation(from);
    const columns = this.model.tensors.get(`${name}.gain`)!.length;
    const rows = wanted ?? (input.rows * input.columns) / columns;
    const output = joined ? this.buffer(to, 1, rows * columns) : this.buffer(to, rows, columns);
    const power = this.powers(from, columns / input.columns);
    const gain = this.constant(`${name}.gain`);
    const bias = this.constant(`${name}.bias`);
    const { shift } = this.integers(name);
    const z = this.zeroPoint(from);
    const zo = this.zeroPoint(to);
    const high = this.highest(to);
    const kernel =
      order === undefined ? 'layernorm' : 'merge' in order ? 'layernorm_merge' : 'layernorm_windows';
    this.step(to, {
      kernel,
      reads: [from],
      constants: [power, gain, bias],
      scratchBytes: kernel === 'layernorm_merge' ? columns : 0,
      calls: (part) => {
        const parameters = [z, power.address, gain.address, bias.address, shift!] as const;
        if (order === undefined) {
          const [from, to] = share(rows, part);
          const at = from * columns;
          return [
            [
              'layernorm',
              input.address + at,
              ...parameters,
              output.address + at,
              zo,
              high,
              to - from,
              columns,
            ],
          ];
        }
        if ('merge' in order) {
          const [from, to] = share(rows, part);
          const out = output.address + from * columns;
          return [
            [
              'layernorm_merge',
              input.address,
              ...parameters,
              out,
              zo,
              high,
              columns,
              order.merge,
              from,
              to - from,
              part.scratch,
            ],
          ];
        }
        const { side, window, shift: roll } = order;
        const [from, to] = share(rows / window, part);
        const out = output.address + from * window * columns;
        return [
          [
            'layernorm_windows',
            input.address,
            ...parameters,
            out,
            zo,
            high,
            columns,
            side,
            window,
            roll,
            from,
            to - from,
          ],
        ];
      },
    });
    return output;
  }

  /**
   * Makes the buffer `name.out` = a + b, for the rows of b and as many rows of a.
   *
   * @param order of the rows of b, if they are in window order
   */
  add(name: string, a: string, b: string, order?: WindowOrder): void {
    const first = this.activation(a);
    const second = this.activation(b);
    const output = this.buffer(`${name}.out`, second.rows, first.columns);
    const { rows, columns } = output;
    const multiplier = this.constant(`${name}.multiplier`);
    const { shift } = this.integers(name);
    const za = this.zeroPoint(a);
    const zb = this.zeroPoint(b);
    const zo = this.zeroPoint(`${name}.out`);
    const ma = multiplier.address;
    const mb = ma + 4 * columns;
    this.step(`${name}.out`, {
      kernel: order === undefined ? 'add' : 'add_windows',
      reads: [a, b],
      constants: [multiplier],
      calls: (part) => {
        if (order === undefined) {
          const [from, to] = share(rows, part);
          const at = from * columns;
          return [
            [
              'add',
              first.address + at,
              za,
              ma,
              second.address + at,
              zb,
              mb,
              shift!,
              output.address + at,
              zo,
              to - from,
              columns,
            ],
          ];
        }
        const { side, window, shift: roll } = order;
        const [from, to] = share(rows / window, part);
        const rowsOfB = second.address + from * window * columns;
        return [
          [
            'add_windows',
            first.address,
            za,
            ma,
            rowsOfB,
            zb,
            mb,
            shift!,
            output.address,
            zo,
            columns,
            side,
            window,
            roll,
            from,
            to - from,
          ],
        ];
      },
    });
  }

  /**
   * k and v of a block, and q of the tokens whose attention is computed, with the rows after the
   * last that the products of the last window may read.
   */
  qkv(block: string, { dim, tokens, queries }: AttentionShape): void {
    const name = `${block}.attn.qkv`;
    // a panel holds 8 outputs, and dim is a multiple of 8: q ends with a panel
    const some = queries < tokens ? { first: dim, firstRows: queries } : {};
    this.linear(name, `${block}.norm1.out`, `${name}.out`, { slack: 8, ...some });
  }

  /**
   * q·kᵀ d^-½ of every head and window: the buffer `output`, `[windows, heads, queries]` rows of
   * scores.
   */
  scores(block: string, output: string, { windows, tokens, heads, dim, queries }: AttentionShape): void {
    const qkv = this.activation(`${block}.attn.qkv.out`);
    const d = dim / heads;
    const stride = roundUp(tokens, 16);
    const out = this.buffer(output, windows * heads * queries, tokens, { stride });
    const z = this.zeroPoint(`${block}.attn.qkv.out`);
    const zo = this.zeroPoint(output);
    const { multiplier, left, right } = this.integers(output);
    this.step(output, {
      kernel: 'scores',
      reads: [`${block}.attn.qkv.out`],
      macs: windows * heads * queries * tokens * d,
      scratchBytes: 2 * d * (roundUp(queries, TILE) + roundUp(tokens, 8)) + 64,
      calls: (part) =>
        shareHeads(windows, heads, queries, part, tokens * d).map(({ window, head, from, rows }) => {
          const tokensAt = qkv.address + window * tokens * qkv.stride + head * d;
          const to = out.address + ((window * heads + head) * queries + from) * stride;
          return [
            'scores',
            tokensAt + from * qkv.stride,
            tokensAt + dim,
            qkv.stride,
            z,
            multiplier!,
            left!,
            right!,
            to,
            stride,
            zo,
            rows,
            tokens,
            d,
            part.scratch,
          ];
        }),
    });
  }

  /**
   * Softmax codes of `attn.scores`, and their product with v.
   *
   * @param mask of a window, `[tokens, stride of the scores]`: 255 where a score counts, else 0;
   *   undefined for none
   */
  attend(
    block: string,
    { windows, tokens, heads, dim, queries }: AttentionShape,
    mask: (window: number) => Constant | undefined = () => undefined,
  ): void {
    const name = `${block}.attn`;
    const d = dim / heads;
    const qkv = this.activation(`${name}.qkv.out`);
    const scores = this.activation(`${name}.scores`);
    const { stride } = scores;
    const probs = this.buffer(`${name}.softmax`, windows * heads * queries, tokens, { stride });
    const table = this.constant(`${name}.softmax.table`);
    const { attention } = this.model.recipe;
    const softmax = `softmax_${attention}` as const;
    const { levels, slope } = attention === 'log2' ? {} : this.integers(`${name}.softmax`);
    const masks = Array.from({ length: windows }, (_, w) => mask(w));
    const rows = heads * queries;
    const rowAt = (window: number, head: number, row: number) =>
      ((window * heads + head) * queries + row) * stride;
    this.step(`${name}.softmax`, {
      kernel: softmax,
      reads: [`${name}.scores`],
      constants: [table, ...new Set(masks.filter((m) => m !== undefined))],
      scratchBytes: SOFTMAX_SCRATCH + stride,
      // the rows of all heads and windows are contiguous; each mask serves the rows of one window
      calls: (part) => {
        const runs: { from: number; to: number; kept: number }[] = [];
        if (masks.every((m) => m === undefined)) {
          const [from, to] = share(windows * rows, part);
          runs.push({ from, to, kept: 0 });
        } else {
          const [first, last] = share(windows, part);
          for (let w = first; w < last; w++)
            runs.push({ from: w * rows, to: (w + 1) * rows, kept: masks[w]?.address ?? 0 });
        }
        return runs.flatMap(({ from, to, kept }) =>
          inGroups([from, to], ELEMENT_MACS * tokens).map(([row, count]): Call => {
            const [q, p] = [scores.address + row * stride, probs.address + row * stride];
            return softmax === 'softmax_log2'
              ? [softmax, q, stride, p, count, tokens, table.address, kept, part.scratch]
              : [softmax, q, stride, p, count, tokens, table.address, levels ?? slope!, kept, part.scratch];
          }),
        );
      },
    });

    const context = this.buffer(`${name}.context`, windows * queries, dim);
    const { multiplier, left, right } = this.integers(`${name}.context`);
    const z = this.zeroPoint(`${name}.qkv.out`);
    const zo = this.zeroPoint(`${name}.context`);
    const high = this.highest(`${name}.context`);
    const kernel = `context_${attention}` as const;
    const padded = roundUp(tokens, 8);
    this.step(`${name}.context`, {
      kernel,
      reads: [`${name}.softmax`, `${name}.qkv.out`],
      macs: windows * heads * queries * tokens * d,
      scratchBytes: 2 * padded * (roundUp(queries, TILE) + d) + 64,
      calls: (part) =>
        shareHeads(windows, heads, queries, part, tokens * d).map(({ window, head, from, rows }) => {
          const v = qkv.address + window * tokens * qkv.stride + 2 * dim + head * d;
          const to = context.address + (window * queries + from) * dim + head * d;
          return [
            kernel,
            probs.address + rowAt(window, head, from),
            stride,
            v,
            qkv.stride,
            z,
            multiplier!,
            left!,
            right!,
            to,
            dim,
            zo,
            high,
            rows,
            tokens,
            d,
            part.scratch,
          ];
        }),
    });
  }

  /** The second half of a block: residual1.out + fc2(GELU(fc1(LayerNorm(residual1.out)))). */
  mlp(block: string): void {
    this.layerNorm(`${block}.norm2`, `${block}.residual1.out`);
    const fine = this.linear(`${block}.mlp.fc1`, `${block}.norm2.out`, `${block}.mlp.fc1.fine`, {
      kernel: 'linear_fine',
    });
    const { rows, columns } = fine;
    const gelu = this.buffer(`${block}.mlp.gelu.out`, rows, columns);
    const table = this.constant(`${block}.mlp.gelu.table`);
    this.step(`${block}.mlp.gelu.out`, {
      kernel: 'gelu',
      reads: [`${block}.mlp.fc1.fine`],
      constants: [table],
      calls: (part) => {
        const [from, to] = share(rows, part);
        const at = from * columns;
        return [['gelu', fine.address + 2 * at, table.address, gelu.address + at, (to - from) * columns]];
      },
    });
    this.linear(`${block}.mlp.fc2`, `${block}.mlp.gelu.out`);
    this.add(`${block}.residual2`, `${block}.residual1.out`, `${block}.mlp.fc2.out`);
  }

  /**
   * The mean of the rows of `from` without the first `skipped`: the buffer `pooled`. @returns its
   *   name
   */
  pool(from: string, skipped = 0): string {
    const tokens = this.activation(from);
    const { columns } = tokens;
    const rows = tokens.rows - skipped;
    const pooled = this.buffer('pooled', 1, columns);
    const { multiplier, left, right } = this.integers('pooled');
    const z = this.zeroPoint(from);
    const zo = this.zeroPoint('pooled');
    this.step('pooled', {
      kernel: 'pool',
      reads: [from],
      calls: ({ index }) => {
        const first = tokens.address + skipped * columns;
        return index > 0
          ? []
          : [['pool', first, z, multiplier!, left!, right!, pooled.address, zo, rows, columns]];
      },
    });
    return 'pooled';
  }

  /** The linear layer that makes the logits from the features `from`, if the model has one. */
  head(from: string): void {
    this.keep(from);
    if (this.model.architecture.classes === 0) return;
    this.linear('head', from, 'logits');
    this.keep('logits');
  }

  /** The highest code of a quantiser. */
  private highest(name: string): number {
    return highestCode(name, this.model.recipe);
  }

  zeroPoint(name: string): number {
    return this.model.quantizers.get(name)!.zeroPoint;
  }

  integers(name: string): Readonly<Record<string, number>> {
    return this.model.steps.get(name)!;
  }

  /** A tensor as in the checkpoint, with room for `elements`; the rest is 0. */
  constant(name: string, elements = 0): Constant {
    const tensor = this.model.tensors.get(name)!;
    const { buffer, byteOffset, byteLength } = tensor;
    const bytes = Math.max(elements * tensor.BYTES_PER_ELEMENT, byteLength);
    return this.filled(bytes, (memory) => memory.set(new Uint8Array(buffer, byteOffset, byteLength)));
  }

  /** `bytes` of memory that `fill` writes at the start. */
  filled(bytes: number, fill: (memory: Uint8Array) => void): Constant {
    const address = this.memory.reserve(bytes);
    this.fills.push((memory) => fill(new Uint8Array(memory, address, bytes)));
    return { address, bytes };
  }

  /**
   * Power-of-two factors of a buffer, `repeat` times, as the i16 values 2^α that the kernel
   * multiplies by; 1 if it has none.
   */
  private powers(from: string, repeat: number): Constant {
    const factors =
      this.model.tensors.get(`${from.replace(/\.out$/, '')}.factors`) ??
      new Uint8Array(this.activation(from).columns);
    return this.filled(2 * repeat * factors.length, ({ buffer, byteOffset }) => {
      const powers = new Int16Array(buffer, byteOffset, repeat * factors.length);
      for (let i = 0; i < powers.length; i++) powers[i] = 1 << factors[i % factors.length]!;
    });
  }

  /**
   * Weights `[n, inputs]` as int8 panels of `padded` inputs, nibbles unpacked. The checkpoint's
   * layout passes through scratch, one row of panels at a time.
   */
  private weight(layer: string, n: number, padded: number): Constant & { readonly inputs: number } {
    const stored = this.model.tensors.get(`${layer}.weight`)!;
    const bits = weightBits(layer, this.model.recipe);
    const packed = bits === 4;
    const inputs = packed ? padded : stored.length / n;
    const panel = panelBytes(padded);
    const bytes = Math.ceil(n / 8) * panel;
    this.#widest = Math.max(this.#widest, inputs);
    const address = this.memory.reserve(bytes);
    this.fills.push((memory, kernels) => {
      const codes = packed ? unpackNibbles(stored as Uint8Array, inputs) : (stored as Int8Array);
      for (let row = 0; row < n; row += 8) {
        const rows = Math.min(8, n - row);
        new Int8Array(memory, this.#scratch).set(codes.subarray(row * inputs, (row + rows) * inputs));
        kernels.pack_weights(this.#scratch, rows, inputs, padded, bits, address + (row / 8) * panel);
      }
    });
    return { address, bytes, inputs };
  }
}
