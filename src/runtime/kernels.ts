import { RuntimeError } from '../errors.js';
import { compile, type WasmBinary } from '../platform/compile.js';

/** Which build of the integer kernels runs. All tiers give the same bits. */
export type Tier = 'scalar' | 'simd' | 'relaxed';

/** The modules for inference: the tiers, their versions for threads, and the probe. */
export type KernelModule = Tier | 'simd-threads' | 'relaxed-threads' | 'probe';

type Address = number;

/**
 * The integer kernels. The header of each file in `assembly/` states operands, units and ranges.
 * The scalar and the SIMD module export the same functions, equal to the bit.
 */
export interface IntegerKernels {
  pack_weights(weight: Address, n: number, k: number, kPadded: number, bits: number, out: Address): void;
  linear: Linear;
  linear_fine: Linear;
  scores(
    q: Address,
    k: Address,
    ld: number,
    z: number,
    multiplier: number,
    left: number,
    right: number,
    out: Address,
    ldo: number,
    zo: number,
    rows: number,
    tokens: number,
    d: number,
    scratch: Address,
  ): void;
  context_log2: ContextKernel;
  context_uniform: ContextKernel;
  context_eighths: ContextKernel;
  softmax_log2(...operands: [...SoftmaxOperands, mask: Address, scratch: Address]): void;
  softmax_uniform: ScaledSoftmax;
  softmax_eighths: ScaledSoftmax;
  layernorm(...operands: [...LayerNormOperands, rows: number, c: number]): void;
  layernorm_windows(...operands: [...LayerNormOperands, c: number, ...WindowOrderOperands]): void;
  layernorm_merge(
    ...operands: [
      ...LayerNormOperands,
      c: number,
      side: number,
      first: number,
      rows: number,
      scratch: Address,
    ]
  ): void;
  gelu(x: Address, table: Address, out: Address, n: number): void;
  add(...operands: [...AddOperands, rows: number, c: number]): void;
  add_windows(...operands: [...AddOperands, c: number, ...WindowOrderOperands]): void;
  bias(
    qk: Address,
    zq: number,
    mq: number,
    table: Address,
    step: number,
    zb: number,
    mb: number,
    right: number,
    out: Address,
    zo: number,
    windows: number,
    stride: number,
    w: number,
    ld: number,
    scratch: Address,
  ): void;
  pool(
    q: Address,
    z: number,
    multiplier: number,
    left: number,
    right: number,
    out: Address,
    zo: number,
    rows: number,
    c: number,
  ): void;
  lookup(x: Address, table: Address, out: Address, n: number): void;
  patches(
    pixels: Address,
    table: Address,
    zero: number,
    size: number,
    patch: number,
    k: number,
    first: number,
    count: number,
    out: Address,
  ): void;
}

/** An export that only modules over shared memory have (assembly/threads/barrier.ts). */
export interface ThreadKernels extends IntegerKernels {
  barrier(state: Address, count: number, spins: number): void;
}

type LayerNormOperands = [
  q: Address,
  z: number,
  power: Address,
  gain: Address,
  bias: Address,
  right: number,
  out: Address,
  zo: number,
  high: number,
];

type AddOperands = [
  a: Address,
  za: number,
  ma: Address,
  b: Address,
  zb: number,
  mb: Address,
  right: number,
  out: Address,
  zo: number,
];

type WindowOrderOperands = [side: number, window: number, shift: number, first: number, lines: number];

type Linear = (
  a: Address,
  lda: number,
  za: number,
  aBits: number,
  w: Address,
  wBits: number,
  bias: Address,
  multiplier: Address,
  left: number,
  right: number,
  out: Address,
  ldo: number,
  zo: number,
  m: number,
  n: number,
  k: number,
  scratch: Address,
) => void;

/** `scale`: levels of uniform codes, slope of codes in eighths. */
type ScaledSoftmax = (
  ...operands: [...SoftmaxOperands, scale: number, mask: Address, scratch: Address]
) => void;

type SoftmaxOperands = [q: Address, ld: number, out: Address, rows: number, n: number, table: Address];

type ContextKernel = (
  p: Address,
  ldp: number,
  v: Address,
  ld: number,
  z: number,
  multiplier: number,
  left: number,
  right: number,
  out: Address,
  ldo: number,
  zo: number,
  high: number,
  rows: number,
  tokens: number,
  d: number,
  scratch: Address,
) => void;

/**
 * How many operands each kernel has. A module of another version may export the same names with
 * other operands, and would compute nonsense.
 */
const OPERANDS: { readonly [Name in keyof IntegerKernels]: Parameters<IntegerKernels[Name]>['length'] } = {
  pack_weights: 6,
  linear: 17,
  linear_fine: 17,
  scores: 14,
  context_log2: 16,
  context_uniform: 16,
  context_eighths: 16,
  softmax_log2: 8,
  softmax_uniform: 9,
  softmax_eighths: 9,
  layernorm: 11,
  layernorm_windows: 15,
  layernorm_merge: 14,
  gelu: 4,
  add: 11,
  add_windows: 15,
  bias: 15,
  pool: 9,
  lookup: 4,
  patches: 9,
};

const BARRIER_OPERANDS: Parameters<ThreadKernels['barrier']>['length'] = 3;

function notCompilable(cause: unknown): RuntimeError {
  return new RuntimeError(
    'WASM_MODULE',
    `wasm: expected a kernel module of fqvit that this engine can compile, found ${String(cause)}`,
    { cause },
  );
}

/** @throws RuntimeError `WASM_MODULE` if the engine cannot compile it */
export async function compileKernels(wasm: WasmBinary): Promise<WebAssembly.Module> {
  try {
    return await compile(wasm);
  } catch (cause) {
    throw notCompilable(cause);
  }
}

/**
 * Binds a kernel module to a memory. `@assemblyscript/loader` would add string and array
 * marshalling that kernels on plain addresses do not need, and a dependency that users would ship;
 * the WebAssembly API is enough.
 *
 * @param shared whether threads share the memory; the module then has a barrier too
 * @throws RuntimeError `WASM_MODULE` if it is no kernel module of this version, or the engine
 *   cannot compile it
 */
export async function instantiateKernels(
  wasm: WebAssembly.Module | BufferSource,
  memory: WebAssembly.Memory,
  shared = false,
): Promise<IntegerKernels> {
  const module = await compileKernels(wasm);
  let instance: WebAssembly.Instance;
  try {
    instance = await WebAssembly.instantiate(module, { env: { memory } });
  } catch (cause) {
    throw notCompilable(cause);
  }
  const { exports } = instance;
  const expected = { ...OPERANDS, ...(shared ? { barrier: BARRIER_OPERANDS } : {}) };
  const wrong = Object.entries(expected).filter(([name, count]) => {
    const kernel = exports[name];
    return typeof kernel !== 'function' || kernel.length !== count;
  });
  if (wrong.length > 0) {
    throw new RuntimeError(
      'WASM_MODULE',
      `wasm: expected the integer kernels of this version, found a module without ${wrong.map(([name, count]) => `${name}/${count}`).join(', ')}`,
    );
  }
  return exports as unknown as IntegerKernels;
}
