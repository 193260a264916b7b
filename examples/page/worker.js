// Runs the models outside the page's thread: decoding a large photo takes longer than a frame.
// Calls run one after the other.
import { load } from '../../dist/browser/fqvit.js';
import { coloured, strongest } from './attention.js';

let model;
let float;

const onProgress = (loaded, total) => postMessage({ loaded, total });

/** The calls of the page. If a model cannot be loaded, the previous one stays. */
const calls = {
  async load(source) {
    const next = await load(source, { onProgress });
    model?.dispose();
    float?.dispose();
    model = next;
    float = undefined;
    const { architecture, labels, output, tier, bytes, memoryBytes } = model.info;
    return { architecture, labels, output, tier, bytes, memoryBytes };
  },

  classify: (photo) => model.classify(photo, { top: 5 }),

  /** Median ms of a pass of the integer model and, if it is loaded, of the float model. */
  time() {
    const passes = [(pixels) => model.codesOfPixels(pixels)];
    if (float) passes.push((pixels) => float.logitsOfPixels(pixels));
    return medianTimes(passes, model.info.architecture.imageSize);
  },

  /** The attention map of a photo: colours, part of the upright photo, strongest place. */
  async look(photo, method, width, height) {
    const map = await model.attention(photo, { method });
    return { rgba: coloured(map), part: model.seenPart(width, height), strongest: strongest(map) };
  },

  async loadFloat(source) {
    const { loadFloat } = await import('../../dist/browser/float.js');
    float = await loadFloat(source);
    const { bytes, memoryBytes } = float.info;
    return { bytes, memoryBytes };
  },

  classifyFloat: (photo) => float.classify(photo, { top: 1 }),
};

/** Times from pixels to logits, without decoding; they do not depend on the pixels. */
function medianTimes(passes, imageSize) {
  const pixels = Uint8Array.from({ length: imageSize ** 2 * 3 }, (_, i) => i * 89);
  const times = passes.map(() => []);
  const end = performance.now() + 500 * passes.length;
  // the engine optimises the kernels while they run, so the first rounds do not count
  for (let round = -5; round < 3 || (round < 25 && performance.now() < end); round++) {
    for (const [i, pass] of passes.entries()) {
      const start = performance.now();
      pass(pixels);
      if (round >= 0) times[i].push(performance.now() - start);
    }
  }
  return times.map((list) => list.sort((a, b) => a - b)[list.length >> 1]);
}

let last = Promise.resolve();
addEventListener('message', ({ data: { id, call, args } }) => {
  last = last
    .then(() => calls[call](...args))
    .then(
      (result) => postMessage({ id, result }),
      ({ code, message }) => postMessage({ id, error: { code, message } }),
    );
});
