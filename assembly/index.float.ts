/**
 * The float module: what calibration and the float baseline need. It is separate from the integer
 * modules, so that someone who only classifies never downloads it.
 */
export { add, add_repeated, add_windows, gelu, gelu_quick, gelu_tanh, pool } from './float/elementwise';
export { gemm, gemm_scratch_bytes } from './float/gemm';
export { layernorm, layernorm_merge, layernorm_windows } from './float/layernorm';
export { moments } from './float/moments';
export { pack_columns, pack_weights } from './float/pack';
export { patches, normalise } from './float/patches';
export { quantize } from './float/quantize';
export { min_max, squared_error, squared_error_channels } from './float/reductions';
export { softmax } from './float/softmax';
