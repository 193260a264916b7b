// What the page says: of errors, in plain words by their code, and of numbers.

const ERRORS = {
  IMAGE_FORMAT: 'This file is no photo that can be read here. JPEG, PNG and WebP can.',
  IMAGE_UNSUPPORTED: 'A photo of a rare kind that cannot be read here.',
  IMAGE_TRUNCATED: 'The end of this photo is missing.',
  IMAGE_DAMAGED: 'This photo is damaged.',
  IMAGE_EMPTY: 'This file is empty.',
  IMAGE_TOO_LARGE: 'This photo has more than 100 million pixels.',
  MODEL_KIND:
    'This file is no integer model. If it is a float checkpoint, fqvit quantize makes an integer model of it.',
  MODEL_VERSION: 'This model is of another version.',
  SOURCE: 'This file cannot be read.',
  WASM_MISSING: 'The kernels are missing. In the repository, npm run build makes them.',
  CLASSES: 'This model has no classes, only features.',
  MEMORY: 'There is not enough memory for this model.',
  // of the camera, by the names that browsers give
  NotAllowedError:
    'The camera may not be used. You can allow it in the settings of your browser for this page.',
  InsecureContext: 'Browsers lend the camera only to pages served over https or from this machine.',
  NotFoundError: 'No camera was found.',
  NotReadableError: 'The camera is in use by another program.',
};

/** An error in plain words. */
export function plain({ code, name, message = '' }) {
  if (ERRORS[code] ?? ERRORS[name]) return ERRORS[code] ?? ERRORS[name];
  if (/^(CHECKPOINT|MODEL)_/.test(code))
    return 'This model file is damaged or of a kind that is not known here.';
  return `Something went wrong: ${message}`;
}

export const percent = (probability) => `${(100 * probability).toFixed(1)} %`;
/** How sure a model is of a class, or what a regression model says. */
export const figure = ({ probability, value }) =>
  value === undefined ? percent(probability) : String(Number(value.toPrecision(6)));
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
export const milliseconds = (ms) => `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const TIERS = { relaxed: 'int8, relaxed SIMD', simd: 'int8, SIMD', scalar: 'int8, no SIMD' };
