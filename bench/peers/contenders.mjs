// Who takes part: what runs it, and on which of the made files.

export const ARCHITECTURES = {
  deit_tiny: 'deit_tiny_patch16_224',
  deit_small: 'deit_small_patch16_224',
  swin_tiny: 'swin_tiny_patch4_window7_224',
};

const ortWeb = (file) => ({ runtime: 'onnxruntime-web', file });
const ortNode = (file) => ({ runtime: 'onnxruntime-node', file });
const litert = (file) => ({ runtime: 'litert', file });

/** By the names of `run.mjs --peer`; `file` follows the name of the architecture. */
export const PEERS = {
  fqvit: { runtime: 'fqvit', file: 'int8.safetensors' },
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

/** The rows of `compare.mjs`: a peer, and what `run.mjs` is told besides. */
export const CONTENDERS = {
  'fqvit simd': { peer: 'fqvit', tier: 'simd' },
  'fqvit relaxed': { peer: 'fqvit', tier: 'relaxed' },
  ...Object.fromEntries(
    Object.keys(PEERS)
      .filter((name) => name !== 'fqvit')
      .map((name) => [name, { peer: name }]),
  ),
};
