import type { Description } from '../checkpoint/integer-description.js';
import type { IntegerModel } from '../checkpoint/integer-model.js';
import { type IntegerKernels, instantiateKernels } from '../runtime/kernels.js';
import { execute, link, type Program } from './integer/calls.js';
import type { Buffer, ModelPlan, PlanStep } from './integer/plan.js';
import { planSwin } from './integer/swin.js';
import { planVit } from './integer/vit.js';

export type { Buffer, ModelPlan, PlanStep } from './integer/plan.js';

/** Plans the forward pass of an integer model: its steps and its memory, of which nothing is allocated yet. */
export function planIntegerModel(model: IntegerModel): ModelPlan {
  const { architecture } = model;
  return architecture.family === 'swin' ? planSwin(model, architecture) : planVit(model, architecture);
}

/**
 * An integer DeiT, ViT or Swin: a plan of kernel calls over memory that is planned once. Between the pixels and the codes of
 * the logits nothing is computed in floating point.
 */
export class IntegerRunner {
  readonly steps: readonly PlanStep[];
  readonly buffers: ReadonlyMap<string, Buffer>;
  readonly #program: Program;

  private constructor(
    readonly description: Description,
    readonly memory: WebAssembly.Memory,
    readonly kernels: IntegerKernels,
    plan: ModelPlan,
  ) {
    this.steps = plan.steps;
    this.buffers = plan.buffers;
    this.#program = link(
      plan.steps.flatMap(({ calls }) => calls(plan.whole)),
      kernels,
    );
  }

  /** Plans and fills the memory of `model`; `wasm` is a kernel module of any tier. */
  static async create(model: IntegerModel, wasm: WebAssembly.Module | BufferSource): Promise<IntegerRunner> {
    const plan = planIntegerModel(model);
    const memory = plan.memory.allocate();
    const kernels = await instantiateKernels(wasm, memory);
    for (const fill of plan.fills) fill(memory.buffer, kernels);
    // Without the tensors, which are views on the file: it can go, the memory has its own copy.
    const { tensors: _, ...description } = model;
    return new IntegerRunner(description, memory, kernels, plan);
  }

  /**
   * @param pixels uint8 `[imageSize, imageSize, 3]`
   * @returns the codes of the logits, uint8 `[classes]`
   */
  run(pixels: Uint8Array): Uint8Array {
    this.write('pixels', pixels);
    execute(this.#program);
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

  /** A copy of an activation, rows without padding; it is there from the step that makes it to the one that reads it last. */
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
