/**
 * The float module: what calibration and the float baseline need. It is separate from the integer modules, so that
 * someone who only classifies never downloads it.
 */
export { add, gelu } from './float/elementwise';
export { gemm, gemmScratchBytes } from './float/gemm';
export { layerNorm } from './float/layernorm';
export { packColumns, packWeights } from './float/pack';
export { gatherPatches, normalise } from './float/patches';
export { minMax, squaredError, squaredErrorPerChannel } from './float/reductions';
export { softmax } from './float/softmax';
