import { RuntimeError } from '../../errors.js';

/** The exports of the float module (assembly/float/). Addresses are bytes, counts are elements. */
export interface FloatKernels {
  gemm(
    a: number,
    lda: number,
    panels: number,
    bias: number,
    c: number,
    ldc: number,
    rows: number,
    cols: number,
    depth: number,
    scale: number,
    scratch: number,
  ): void;
  gemm_scratch_bytes(depth: number): number;
  pack_weights(src: number, lds: number, dst: number, cols: number, depth: number): void;
  moments(panels: number, rows: number, cols: number, g: number): void;
  pack_columns(src: number, lds: number, dst: number, cols: number, depth: number): void;
  layernorm(
    x: number,
    ldx: number,
    gamma: number,
    beta: number,
    y: number,
    rows: number,
    width: number,
    eps: number,
  ): void;
  layernorm_windows(
    x: number,
    gamma: number,
    beta: number,
    y: number,
    maps: number,
    side: number,
    window: number,
    shift: number,
    width: number,
    eps: number,
  ): void;
  layernorm_merge(
    x: number,
    gamma: number,
    beta: number,
    y: number,
    maps: number,
    side: number,
    width: number,
    eps: number,
  ): void;
  softmax(x: number, rows: number, width: number): void;
  gelu(x: number, count: number): void;
  gelu_tanh(x: number, count: number): void;
  gelu_quick(x: number, count: number): void;
  add(a: number, b: number, out: number, count: number): void;
  add_repeated(x: number, b: number, times: number, count: number): void;
  add_windows(
    x: number,
    y: number,
    maps: number,
    side: number,
    window: number,
    shift: number,
    width: number,
  ): void;
  pool(x: number, y: number, maps: number, rows: number, width: number): void;
  normalise(pixels: number, table: number, x: number, count: number): void;
  patches(x: number, side: number, patch: number, out: number): void;
  quantize(x: number, count: number, scale: number, zeroPoint: number, highest: number): void;
  min_max(x: number, count: number, out: number): void;
  squared_error(x: number, count: number, scale: number, zeroPoint: number, highest: number): number;
  squared_error_channels(
    x: number,
    rows: number,
    channels: number,
    scale: number,
    zeroPoint: number,
    sums: number,
  ): void;
}

/** Kernels and the memory they work on. */
export interface FloatWorkspace {
  readonly kernels: FloatKernels;
  readonly memory: WebAssembly.Memory;
  /** Address of a region that anyone may overwrite between two kernel calls, 16-byte aligned. */
  readonly scratch: number;
  readonly scratchBytes: number;
}

/**
 * The kernels of the float module, on `memory`.
 *
 * @param wasm the module `fqvit.float.wasm`, compiled or as bytes
 * @throws RuntimeError `WASM` if it is another module
 */
export async function instantiateFloatKernels(
  wasm: BufferSource | WebAssembly.Module,
  memory: WebAssembly.Memory,
): Promise<FloatKernels> {
  let exports: WebAssembly.Exports;
  try {
    const module = wasm instanceof WebAssembly.Module ? wasm : await WebAssembly.compile(wasm);
    exports = (await WebAssembly.instantiate(module, { env: { memory } })).exports;
  } catch (cause) {
    throw new RuntimeError('WASM', `the float kernel module cannot be instantiated: ${String(cause)}`, {
      cause,
    });
  }
  if (typeof exports.gemm !== 'function' || typeof exports.squared_error_channels !== 'function') {
    const found = Object.keys(exports).join(', ') || 'nothing';
    throw new RuntimeError('WASM', `expected the float kernel module, found a module that exports ${found}`);
  }
  return exports as unknown as FloatKernels;
}
