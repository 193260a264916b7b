import { DEFAULT_MODEL } from '../../model/bundled.js';
import { describeCommand } from '../command.js';
import { eachImage, type TimedResult } from '../each-image.js';
import { escapeControls, formatDuration } from '../format.js';
import { IMAGE_ARGUMENT, openModel } from '../image-command.js';
import { EXIT, print, printJson } from '../report.js';
import { THREADS_OPTION } from '../values.js';

/** Numbers that are printed of a vector; JSON has all. */
const SHOWN = 6;

export default describeCommand({
  name: 'features',
  summary: 'turn photos into feature vectors, for search and similarity',
  usage: 'IMAGE... [OPTIONS]',
  args: {
    image: IMAGE_ARGUMENT,
    model: {
      type: 'string',
      valueHint: 'M',
      description: `Integer checkpoint, with or without a head: a file, a URL, a Hugging Face id or a bundled model (default: ${DEFAULT_MODEL})`,
    },
    threads: THREADS_OPTION,
    json: { type: 'boolean', description: 'Print JSON: [{file, model, features: [number, ...], ms}]' },
  },
  repeats: true,
  examples: [
    'fqvit features a.jpg b.jpg   # also prints how similar they are',
    'fqvit features photos/*.jpg --model m.safetensors --json > vectors.json',
  ],
  async run({ _: files, model: named, threads, json }) {
    const { model, source } = await openModel(named, threads);
    const results = await eachImage(
      files,
      (file) => model.features(file),
      (one) => json || print(line(one)),
    );
    model.dispose();
    if (json) {
      printJson(results.map(({ file, result, ms }) => ({ file, model: source, features: [...result], ms })));
    } else {
      for (const text of similarities(results)) print(text);
    }
    return results.length === files.length ? EXIT.done : EXIT.badInput;
  },
});

function line({ file, result, ms }: TimedResult<Float32Array>): string {
  const first = [...result.subarray(0, SHOWN)].map((x) => x.toFixed(3)).join(' ');
  return `${escapeControls(file)}  ${result.length} numbers: ${first} …  (${formatDuration(ms)})`;
}

/** The cosine similarity of each photo with the first. */
function similarities(results: readonly TimedResult<Float32Array>[]): string[] {
  const [first, ...others] = results;
  if (first === undefined || others.length === 0) return [];
  return [
    `\ncosine similarity with ${escapeControls(first.file)}`,
    ...others.map(
      ({ file, result }) => ` ${cosine(first.result, result).toFixed(3)}  ${escapeControls(file)}`,
    ),
  ];
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) || 1);
}
