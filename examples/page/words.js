// The words of the page: errors in plain words by their code, and numbers.

const ERRORS = {
  IMAGE_FORMAT: 'This page reads JPEG, PNG and WebP photos. This file is something else.',
  IMAGE_UNSUPPORTED: 'This page cannot read this rare kind of photo.',
  IMAGE_TRUNCATED: 'The end of this photo is missing.',
  IMAGE_DAMAGED: 'This photo is damaged.',
  IMAGE_EMPTY: 'This file is empty.',
  IMAGE_TOO_LARGE: 'This photo has more than 100 million pixels.',
  MODEL_KIND: 'This is not an integer model. If it is a float checkpoint, quantise it with fqvit quantize.',
  MODEL_VERSION: 'This model has another version of the format.',
  SOURCE: 'This file cannot be read.',
  WASM_MISSING: 'The kernels are missing. Run npm run build in the repository.',
  CLASSES: 'This model has no classes, only features.',
  MEMORY: 'There is not enough memory for this model.',
  // the camera's errors, by the browser's names
  NotAllowedError: 'The browser does not allow the camera. You can allow it in the settings for this page.',
  InsecureContext: 'Browsers allow the camera only on pages served over https or from this machine.',
  NotFoundError: 'No camera was found.',
  NotReadableError: 'The camera is in use by another program.',
};

/** An error in plain words. */
export function plain({ code, name, message = '' }) {
  if (ERRORS[code] ?? ERRORS[name]) return ERRORS[code] ?? ERRORS[name];
  if (/^(CHECKPOINT|MODEL)_/.test(code))
    return 'This model file is damaged, or of a kind that fqvit does not know.';
  return `Something went wrong: ${message}`;
}

export const percent = (probability) => `${(100 * probability).toFixed(1)} %`;
/** The probability of a class, or the value of a regression model. */
export const figure = ({ probability, value }) =>
  value === undefined ? percent(probability) : String(Number(value.toPrecision(6)));
export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
export const milliseconds = (ms) => `${ms.toFixed(ms < 100 ? 1 : 0)} ms`;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

export const TIERS = { relaxed: 'int8, relaxed SIMD', simd: 'int8, SIMD', scalar: 'int8, no SIMD' };
