// The contenders: the script that runs each, and its model file.

export const ARCHITECTURES = {
  deit_tiny: 'deit_tiny_patch16_224',
  deit_small: 'deit_small_patch16_224',
  swin_tiny: 'swin_tiny_patch4_window7_224',
};

/** Our integer checkpoints by what their file is called: options of `quantize`. */
export const WIDTHS = {
  int8: {},
  w7: { weightBits: 7 },
  w7a7: { weightBits: 7, activationBits: 7 },
  w6: { weightBits: 6 },
  w4: { weightBits: 4 },
};

const ortWeb = (file) => ({ runtime: 'onnxruntime-web', file });
const ortNode = (file) => ({ runtime: 'onnxruntime-node', file });
const litert = (file) => ({ runtime: 'litert', file });

/** By name in `run.mjs --peer`; `file` is the suffix after the name of the architecture. */
export const PEERS = {
  fqvit: { runtime: 'fqvit', file: 'int8.safetensors' },
  ...Object.fromEntries(
    Object.keys(WIDTHS)
      .filter((width) => width !== 'int8')
      .map((width) => [`fqvit-${width}`, { runtime: 'fqvit', file: `${width}.safetensors` }]),
  ),
  'fqvit-float': { runtime: 'fqvit-float', file: 'float.safetensors', oneThread: true },
  'ort-web-f32': ortWeb('f32.onnx'),
  'ort-web-u8-dynamic': ortWeb('u8-dynamic.onnx'),
  'ort-web-s8-static': ortWeb('s8-static.onnx'),
  'litert-f32': litert('f32.tflite'),
  'litert-s8-static': litert('s8-static.tflite'),
  'litert-s8-dynamic': litert('s8-dynamic.tflite'),
  'litert-s8-full': litert('s8-full.tflite'),
  'tfjs-f32': { runtime: 'tfjs', file: 'float.safetensors', oneThread: true },
  'ort-node-f32': ortNode('f32.onnx'),
  'ort-node-u8-dynamic': ortNode('u8-dynamic.onnx'),
  'ort-node-s8-static': ortNode('s8-static.onnx'),
};

/** The rows of `compare.mjs`: a peer, and further options for `run.mjs`. */
export const CONTENDERS = {
  'fqvit simd': { peer: 'fqvit', tier: 'simd' },
  'fqvit relaxed': { peer: 'fqvit', tier: 'relaxed' },
  // without a tier: the one that the probe chooses
  'fqvit w7': { peer: 'fqvit-w7' },
  'fqvit w7 simd': { peer: 'fqvit-w7', tier: 'simd' },
  'fqvit w7 relaxed': { peer: 'fqvit-w7', tier: 'relaxed' },
  'fqvit w7a7 relaxed': { peer: 'fqvit-w7a7', tier: 'relaxed' },
  'fqvit w6 relaxed': { peer: 'fqvit-w6', tier: 'relaxed' },
  'fqvit w4 relaxed': { peer: 'fqvit-w4', tier: 'relaxed' },
  ...Object.fromEntries(
    Object.keys(PEERS)
      .filter((name) => PEERS[name].runtime !== 'fqvit')
      .map((name) => [name, { peer: name }]),
  ),
};
