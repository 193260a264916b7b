import type { Description } from '../checkpoint/integer-description.js';
import type { IntegerModel } from '../checkpoint/integer-model.js';
import { type IntegerKernels, instantiateKernels } from '../runtime/kernels.js';
import { MemoryPlan } from '../runtime/memory.js';

/** Where an activation lies: u8 codes `[rows, columns]`, `stride` bytes from row to row (u16 for `mlp.fc1.fine`). */
export interface Buffer {
  readonly address: number;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
}

/** One kernel call, or one a head. It reads and writes the buffers it names. */
export interface PlanStep {
  /** The tensor that it makes, by the name of its quantiser (`blocks.0.attn.softmax` for attention codes). */
  readonly output: string;
  readonly run: (kernels: IntegerKernels) => void;
}

const roundUp = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;

/**
 * An integer DeiT or ViT: a plan of kernel calls over memory that is planned once (paper Figure 2). Between the pixels and
 * the codes of the logits nothing is computed in floating point.
 */
export class IntegerDeit {
  readonly steps: readonly PlanStep[];
  readonly buffers: ReadonlyMap<string, Buffer>;

  private constructor(
    readonly description: Description,
    readonly memory: WebAssembly.Memory,
    readonly kernels: IntegerKernels,
    plan: DeitPlan,
  ) {
    this.steps = plan.steps;
    this.buffers = plan.buffers;
  }

  /** Plans and fills the memory of `model`; `wasm` is a kernel module of any tier. */
  static async create(model: IntegerModel, wasm: WebAssembly.Module | BufferSource): Promise<IntegerDeit> {
    const plan = new DeitPlan(model);
    const memory = plan.memory.allocate();
    const kernels = await instantiateKernels(wasm, memory);
    for (const fill of plan.fills) fill(memory.buffer, kernels);
    // Without the tensors, which are views on the file: it can go, the memory has its own copy.
    const { tensors: _, ...description } = model;
    return new IntegerDeit(description, memory, kernels, plan);
  }

  /**
   * @param pixels uint8 `[imageSize, imageSize, 3]`
   * @returns the codes of the logits, uint8 `[classes]`
   */
  run(pixels: Uint8Array): Uint8Array {
    this.write('pixels', pixels);
    for (const step of this.steps) step.run(this.kernels);
    return this.read('logits');
  }

  /** Overwrites an activation with rows without padding. */
  write(name: string, codes: Uint8Array): void {
    const { address, rows, columns, stride } = this.buffers.get(name)!;
    const memory = new Uint8Array(this.memory.buffer);
    for (let r = 0; r < rows; r++) {
      memory.set(codes.subarray(r * columns, (r + 1) * columns), address + r * stride);
    }
  }

  /** A copy of an activation, rows without padding. */
  read(name: string): Uint8Array {
    const { address, rows, columns, stride } = this.buffers.get(name)!;
    const memory = new Uint8Array(this.memory.buffer);
    const codes = new Uint8Array(rows * columns);
    for (let r = 0; r < rows; r++) {
      codes.set(memory.subarray(address + r * stride, address + r * stride + columns), r * columns);
    }
    return codes;
  }
}

type Fill = (memory: ArrayBuffer, kernels: IntegerKernels) => void;

/** Addresses of everything, the steps that run over them, and what fills the memory at the start. */
class DeitPlan {
  readonly memory = new MemoryPlan();
  readonly steps: PlanStep[] = [];
  readonly buffers = new Map<string, Buffer>();
  readonly fills: Fill[] = [];
  readonly #scratch: number;
  /** Shared by all blocks: each activation is dead when the next block makes it again. */
  readonly #places = new Map<string, Buffer>();

  constructor(private readonly model: IntegerModel) {
    const { imageSize, patchSize, dim, depth, heads, mlpDim } = model.architecture;
    const patches = (imageSize / patchSize) ** 2;
    const tokens = patches + 1;
    const patchLength = roundUp(3 * patchSize ** 2, 8);
    const widest = Math.max(patchLength, 3 * dim, mlpDim);
    const padded = roundUp(tokens, 8);
    this.#scratch = this.memory.reserve(
      Math.max(2 * padded * widest, 2 * padded ** 2) + 16 * Math.max(widest, padded) + 64,
    );

    this.buffer('pixels', imageSize * imageSize, 3);
    this.buffer('patches', patches, patchLength);
    this.buffer('patch_embed.out', patches, dim);
    this.buffer('tokens', tokens, dim);
    this.stem(patches, patchLength);
    for (let i = 0; i < depth; i++) this.block(i, tokens, heads);
    this.share('cls', 'norm.out', 1, dim);
    this.layerNorm('norm', `blocks.${depth - 1}.residual2`, 'norm.out');
    const { classes } = model.architecture;
    this.buffer('logits', 1, classes, roundUp(classes, 8));
    this.linear('head', 'norm.out', 'logits');
  }

  private stem(patches: number, patchLength: number): void {
    const { imageSize, patchSize, dim } = this.model.architecture;
    const table = this.constant('input.table');
    const zero = this.zeroPoint('input');
    const pixels = this.at('pixels');
    const rows = this.at('patches');
    this.step('patches', (k) => k.patches(pixels, table, zero, imageSize, patchSize, patchLength, rows));
    this.alias('input', 'patches');
    this.linear('patch_embed.proj', 'input', 'patch_embed.out');

    const tokens = this.at('tokens');
    const embedded = this.at('patch_embed.out');
    const map = this.constant('tokens.table');
    this.copyAt('cls_token', tokens);
    this.step('tokens', (k) => k.lookup(embedded, map, tokens + dim, patches * dim));
    this.share('residual2', 'stem.out', patches + 1, dim);
    const position: Buffer = {
      address: this.constant('pos_embed'),
      rows: patches + 1,
      columns: dim,
      stride: dim,
    };
    this.buffers.set('pos_embed', position);
    this.add('stem', 'tokens', 'pos_embed', 'stem.out');
  }

  private block(i: number, tokens: number, heads: number): void {
    const { dim, mlpDim } = this.model.architecture;
    const name = `blocks.${i}`;
    const before = i === 0 ? 'stem' : `blocks.${i - 1}.residual2`;
    const stride = roundUp(tokens, 16);
    this.share('norm', `${name}.norm1.out`, tokens, dim);
    this.share('qkv', `${name}.attn.qkv.out`, tokens, 3 * dim, 3 * dim, 8);
    this.share('scores', `${name}.attn.scores`, heads * tokens, tokens, stride);
    this.share('softmax', `${name}.attn.softmax`, heads * tokens, tokens, stride);
    this.share('context', `${name}.attn.context`, tokens, dim);
    this.share('proj', `${name}.attn.proj.out`, tokens, dim);
    this.share('residual1', `${name}.residual1.out`, tokens, dim);
    this.share('norm', `${name}.norm2.out`, tokens, dim);
    this.share('fine', `${name}.mlp.fc1.fine`, tokens, mlpDim, 2 * mlpDim);
    this.share('gelu', `${name}.mlp.gelu.out`, tokens, mlpDim);
    this.share('proj', `${name}.mlp.fc2.out`, tokens, dim);
    this.share('residual2', `${name}.residual2.out`, tokens, dim);

    this.layerNorm(`${name}.norm1`, before, `${name}.norm1.out`);
    this.linear(`${name}.attn.qkv`, `${name}.norm1.out`, `${name}.attn.qkv.out`);
    this.attention(name, tokens, heads);
    this.linear(`${name}.attn.proj`, `${name}.attn.context`, `${name}.attn.proj.out`);
    this.add(`${name}.residual1`, `${before}.out`, `${name}.attn.proj.out`, `${name}.residual1.out`);

    this.layerNorm(`${name}.norm2`, `${name}.residual1`, `${name}.norm2.out`);
    this.linear(`${name}.mlp.fc1`, `${name}.norm2.out`, `${name}.mlp.fc1.fine`, 'linear_fine');
    const fine = this.at(`${name}.mlp.fc1.fine`);
    const gelu = this.at(`${name}.mlp.gelu.out`);
    const table = this.constant(`${name}.mlp.gelu.table`);
    this.step(`${name}.mlp.gelu.out`, (k) => k.gelu(fine, table, gelu, tokens * mlpDim));
    this.linear(`${name}.mlp.fc2`, `${name}.mlp.gelu.out`, `${name}.mlp.fc2.out`);
    this.add(`${name}.residual2`, `${name}.residual1.out`, `${name}.mlp.fc2.out`, `${name}.residual2.out`);
  }

  private attention(block: string, tokens: number, heads: number): void {
    const { dim } = this.model.architecture;
    const name = `${block}.attn`;
    const d = dim / heads;
    const scratch = this.#scratch;
    const qkv = this.buffers.get(`${name}.qkv.out`)!;
    const scores = this.buffers.get(`${name}.scores`)!;
    const probs = this.buffers.get(`${name}.softmax`)!;
    const context = this.buffers.get(`${name}.context`)!;
    const ld = qkv.stride;
    const lds = scores.stride;
    const z = this.zeroPoint(`${name}.qkv.out`);

    const score = this.integers(`${name}.scores`);
    const zs = this.zeroPoint(`${name}.scores`);
    this.step(`${name}.scores`, (k) => {
      for (let h = 0; h < heads; h++) {
        const q = qkv.address + h * d;
        const out = scores.address + h * tokens * lds;
        k.scores(
          q,
          q + dim,
          ld,
          z,
          score.multiplier!,
          score.left!,
          score.right!,
          out,
          lds,
          zs,
          tokens,
          d,
          scratch,
        );
      }
    });

    const table = this.constant(`${name}.softmax.table`);
    const log2 = this.model.recipe.attention === 'log2';
    const levels = log2 ? 0 : this.integers(`${name}.softmax`).levels!;
    this.step(`${name}.softmax`, (k) =>
      log2
        ? k.softmax_log2(scores.address, lds, probs.address, heads * tokens, tokens, table, scratch)
        : k.softmax_uniform(scores.address, lds, probs.address, heads * tokens, tokens, table, levels),
    );

    const product = this.integers(`${name}.context`);
    const zc = this.zeroPoint(`${name}.context`);
    this.step(`${name}.context`, (k) => {
      const multiply = log2 ? k.context_log2 : k.context_uniform;
      for (let h = 0; h < heads; h++) {
        const p = probs.address + h * tokens * lds;
        const v = qkv.address + 2 * dim + h * d;
        const out = context.address + h * d;
        multiply(
          p,
          lds,
          v,
          ld,
          z,
          product.multiplier!,
          product.left!,
          product.right!,
          out,
          dim,
          zc,
          tokens,
          d,
          scratch,
        );
      }
    });
  }

  private linear(name: string, from: string, to: string, kernel: 'linear' | 'linear_fine' = 'linear'): void {
    const input = this.buffers.get(from)!;
    const output = this.buffers.get(to)!;
    const { left, right, zeroPoint } = this.integers(name);
    const weight = this.weight(`${name}.weight`, output.columns, input.columns);
    const bias = this.constant(`${name}.bias`, roundUp(output.columns, 8));
    const multiplier = this.constant(`${name}.multiplier`, roundUp(output.columns, 8));
    const scratch = this.#scratch;
    const za = this.zeroPoint(from);
    const zo = zeroPoint ?? this.zeroPoint(to);
    const n = roundUp(output.columns, 8);
    const stride = kernel === 'linear' ? output.stride : output.stride / 2;
    this.step(to, (k) =>
      k[kernel](
        input.address,
        input.stride,
        za,
        weight,
        bias,
        multiplier,
        left!,
        right!,
        output.address,
        stride,
        zo,
        input.rows,
        n,
        input.columns,
        scratch,
      ),
    );
  }

  /** @param from the addition whose output is normalised */
  private layerNorm(name: string, from: string, to: string): void {
    const input = this.at(`${from}.out`);
    const { address, rows, columns } = this.buffers.get(to)!;
    const power = this.powers(`${from}.factors`);
    const gain = this.constant(`${name}.gain`);
    const bias = this.constant(`${name}.bias`);
    const { shift } = this.integers(name);
    const z = this.zeroPoint(`${from}.out`);
    const zo = this.zeroPoint(to);
    this.step(to, (k) => k.layernorm(input, z, power, gain, bias, shift!, address, zo, rows, columns));
  }

  private add(name: string, a: string, b: string, to: string): void {
    const pa = this.at(a);
    const pb = this.at(b);
    const { address, rows, columns } = this.buffers.get(to)!;
    const multiplier = this.constant(`${name}.multiplier`);
    const { shift } = this.integers(name);
    const za = this.zeroPoint(a);
    const zb = this.zeroPoint(b);
    const zo = this.zeroPoint(to);
    this.step(to, (k) =>
      k.add(pa, za, multiplier, pb, zb, multiplier + 4 * columns, shift!, address, zo, rows, columns),
    );
  }

  private step(output: string, run: PlanStep['run']): void {
    this.steps.push({ output, run });
  }

  private buffer(name: string, rows: number, columns: number, stride = columns, slack = 0): void {
    this.buffers.set(name, { address: this.memory.reserve((rows + slack) * stride), rows, columns, stride });
  }

  /** A buffer whose memory all tensors of the same role share. @param slack rows that kernels may read behind the last */
  private share(
    role: string,
    name: string,
    rows: number,
    columns: number,
    stride = columns,
    slack = 0,
  ): void {
    let place = this.#places.get(role);
    if (place === undefined) {
      this.buffer(name, rows, columns, stride, slack);
      place = this.buffers.get(name)!;
      this.#places.set(role, place);
    }
    this.buffers.set(name, place);
  }

  private alias(name: string, of: string): void {
    this.buffers.set(name, this.buffers.get(of)!);
  }

  private at(name: string): number {
    return this.buffers.get(name)!.address;
  }

  private zeroPoint(name: string): number {
    return this.model.quantizers.get(name)!.zeroPoint;
  }

  private integers(name: string): Readonly<Record<string, number>> {
    return this.model.steps.get(name)!;
  }

  /** A tensor as the checkpoint has it; room for `elements`, the rest 0. */
  private constant(name: string, elements?: number): number {
    const tensor = this.model.tensors.get(name)!;
    const address = this.memory.reserve(Math.max(elements ?? 0, tensor.length) * tensor.BYTES_PER_ELEMENT);
    this.copyAt(name, address);
    return address;
  }

  private copyAt(name: string, address: number): void {
    const { buffer, byteOffset, byteLength } = this.model.tensors.get(name)!;
    this.fills.push((memory) =>
      new Uint8Array(memory, address).set(new Uint8Array(buffer, byteOffset, byteLength)),
    );
  }

  /** Power-of-two factors as the i16 values 2^α that the kernel multiplies by. */
  private powers(name: string): number {
    const factors = this.model.tensors.get(name)!;
    const address = this.memory.reserve(2 * factors.length);
    this.fills.push((memory) =>
      new Int16Array(memory, address, factors.length).set(Array.from(factors, (alpha) => 1 << alpha)),
    );
    return address;
  }

  /** Weights `[n, k]` as int8 panels of `padded` inputs; the checkpoint's layout passes through scratch, row by row of panels. */
  private weight(name: string, n: number, padded: number): number {
    const codes = this.model.tensors.get(name)! as Int8Array;
    const k = codes.length / n;
    const address = this.memory.reserve(roundUp(n, 8) * padded);
    this.fills.push((memory, kernels) => {
      for (let row = 0; row < n; row += 8) {
        const rows = Math.min(8, n - row);
        new Int8Array(memory, this.#scratch).set(codes.subarray(row * k, (row + rows) * k));
        kernels.pack_weights(this.#scratch, rows, k, padded, address + row * padded);
      }
    });
    return address;
  }
}
