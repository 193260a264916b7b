import type { Description } from '../../checkpoint/integer/description.js';
import type { IntegerModel } from '../../checkpoint/integer/model.js';
import type { PlacedActivation } from '../../layers/integer-plan.js';
import { PIXELS } from '../../layers/patches/layer.js';
import { type LinkedCalls, link } from '../../runtime/calls.js';
import { type IntegerKernels, instantiateKernels } from '../../runtime/kernels.js';
import { type Pass, Passes } from '../../runtime/passes.js';
import { JOB_OFFSET, Team } from '../../runtime/threads.js';
import { Turn } from '../../runtime/turn.js';
import { type Lane, ModelPlan, type PlanStep } from './plan.js';

export { ModelPlan, type PlanStep } from './plan.js';

/** A lane over a memory that already holds the weights. */
export interface JoinedLane extends Lane {
  readonly memory: WebAssembly.Memory;
  /** See `Turn`. */
  readonly words: Int32Array;
  readonly owner: number;
}

/**
 * An integer model: a plan of kernel calls over memory that is planned once. No float operation
 * takes place between the pixels and the codes of the logits.
 */
export class IntegerRunner {
  readonly steps: readonly PlanStep[];
  readonly buffers: ReadonlyMap<string, PlacedActivation>;
  readonly #passes: Passes;

  private constructor(
    readonly description: Description,
    readonly memory: WebAssembly.Memory,
    readonly kernels: IntegerKernels,
    plan: ModelPlan,
    private readonly program: LinkedCalls,
    private readonly team: Team | undefined,
    turn: Turn | undefined,
  ) {
    this.steps = plan.steps;
    this.buffers = plan.buffers;
    this.#passes = new Passes(turn && ((slice) => turn.run(slice)));
  }

  /**
   * Plans and fills the memory of `model`.
   *
   * @param wasm a kernel module of any tier; compiled and over shared memory for several threads
   *   or a lane
   * @param lane of a pool, whose lanes each have a runner in their own thread; if it has a memory,
   *   that already holds the weights
   * @throws RuntimeError `MEMORY`, `WASM_MODULE`, `THREADS`
   */
  static async create(
    model: IntegerModel,
    wasm: WebAssembly.Module | BufferSource,
    threads = 1,
    lane?: Lane | JoinedLane,
  ): Promise<IntegerRunner> {
    const plan = new ModelPlan(model, threads, lane);
    const isShared = threads > 1 || lane !== undefined;
    const joined = lane !== undefined && 'memory' in lane ? lane : undefined;
    const memory = joined?.memory ?? plan.memory.allocate(isShared);
    const kernels = await instantiateKernels(wasm, memory, isShared);
    const shares = Array.from({ length: threads - 1 }, (_, i) => plan.calls(i + 1));
    const starting =
      threads > 1
        ? Team.start(wasm as WebAssembly.Module, memory, plan.team + JOB_OFFSET, shares)
        : undefined;
    for (const fill of joined === undefined ? plan.fills : plan.laneFills) fill(memory.buffer, kernels);
    const program = link(plan.calls(0), kernels);
    const turn = joined && new Turn(joined.words, joined.owner);
    // drop the tensors, which are views of the file: the memory has its own copy
    const { tensors: _, ...description } = model;
    return new IntegerRunner(description, memory, kernels, plan, program, await starting, turn);
  }

  /**
   * @param pixels uint8 `[imageSize, imageSize, 3]`
   * @param output the activation to return: the logits, which a backbone lacks, or the features
   * @returns its codes, uint8 `[classes]` or `[features]`
   */
  run(pixels: Uint8Array, output = this.description.outputs.logits!): Uint8Array {
    return this.#passes.now(() => this.#pass(pixels, output));
  }

  /**
   * Like `run`, in slices, after earlier calls.
   *
   * @throws the reason of `signal`; UsageError `DISPOSED` if the runner is disposed meanwhile
   */
  runInSlices(pixels: Uint8Array, output: string, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#passes.run(() => this.#pass(pixels, output), signal);
  }

  *#pass(pixels: Uint8Array, output: string): Pass<Uint8Array> {
    const { program, team } = this;
    this.write(PIXELS, pixels);
    team?.begin();
    const [barrier, barrierOperands] = program.at(-1)!;
    let barriers = 0;
    let isPaused = false;
    try {
      for (const [i, [kernel, operands]] of program.entries()) {
        kernel(...operands);
        if (kernel === barrier) barriers++;
        if (i === program.length - 1) break;
        isPaused = true;
        yield;
        isPaused = false;
      }
    } catch (cause) {
      throw team?.fault(cause) ?? cause;
    } finally {
      if (isPaused) team?.leave(barriers, () => barrier(...barrierOperands));
    }
    return this.read(output);
  }

  /**
   * Like `run`, step by step, on the calling thread alone.
   *
   * @param seen receives the name of each step's output, which stays readable until a later step
   *   needs its memory
   */
  *trace(pixels: Uint8Array, seen: (output: string) => void): Pass<void> {
    this.write(PIXELS, pixels);
    for (const { output, run } of this.steps) {
      run(this.kernels);
      seen(output);
      yield;
    }
  }

  /** Runs a pass made of `trace` in slices, like `runInSlices`. */
  inSlices<Result>(begin: () => Pass<Result>, signal?: AbortSignal): Promise<Result> {
    return this.#passes.run(begin, signal);
  }

  /** Ends the threads. The runner cannot be used again. */
  dispose(): void {
    this.#passes.end();
    this.team?.end();
  }

  /** Overwrites an activation with rows without padding. */
  write(name: string, codes: Uint8Array): void {
    const { address, rows, columns, stride } = this.buffers.get(name)!;
    const memory = new Uint8Array(this.memory.buffer);
    for (let r = 0; r < rows; r++) {
      memory.set(codes.subarray(r * columns, (r + 1) * columns), address + r * stride);
    }
  }

  /**
   * A copy of an activation, rows without padding. It is readable from the step that makes it to
   * the step that reads it last.
   */
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

export type { PlacedActivation } from '../../layers/integer-plan.js';
