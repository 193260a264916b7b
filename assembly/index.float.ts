/**
 * The float module: what calibration and the float baseline need. It is separate from the integer
 * modules, so that someone who only classifies never downloads it.
 */
export { add, addRepeated, addWindows, gelu, geluQuick, geluTanh, meanRows } from './float/elementwise';
export { gemm, gemmScratchBytes } from './float/gemm';
export { layerNorm, layerNormMerged, layerNormWindows } from './float/layernorm';
export { moments } from './float/moments';
export { packColumns, packWeights } from './float/pack';
export { gatherPatches, normalise } from './float/patches';
export { quantize } from './float/quantize';
export { minMax, squaredError, squaredErrorPerChannel } from './float/reductions';
export { softmax } from './float/softmax';
