import { DEFAULT_MODEL } from '../../models/bundled.js';
import { describeCommand } from '../command.js';
import { eachImage, type Timed } from '../each-image.js';
import { formatDuration, plain } from '../format.js';
import { IMAGE_ARGUMENT, openModel } from '../image-command.js';
import { EXIT, print, printJson } from '../report.js';
import { THREADS_OPTION } from '../values.js';

/** Numbers of a vector that are printed; JSON has all. */
const SHOWN = 6;

export default describeCommand({
  name: 'features',
  summary: 'turn photos into vectors, for search and similarity',
  usage: 'IMAGE... [OPTIONS]',
  args: {
    image: IMAGE_ARGUMENT,
    model: {
      type: 'string',
      valueHint: 'M',
      description: `Integer checkpoint, with a head or without: a file, a URL, a model on the Hugging Face hub or a bundled one (default: ${DEFAULT_MODEL})`,
    },
    threads: THREADS_OPTION,
    json: { type: 'boolean', description: 'Print JSON: [{file, model, features: [number, ...], ms}]' },
  },
  repeats: true,
  examples: [
    'fqvit features photos/*.jpg --model dinov2_small.int8.safetensors --json > vectors.json',
    'fqvit features a.jpg b.jpg --model m.safetensors   # and how alike they are',
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

function line({ file, result, ms }: Timed<Float32Array>): string {
  const first = [...result.subarray(0, SHOWN)].map((x) => x.toFixed(3)).join(' ');
  return `${plain(file)}  ${result.length} numbers: ${first} …  (${formatDuration(ms)})`;
}

/** The cosine of each photo with the first. */
function similarities(results: readonly Timed<Float32Array>[]): string[] {
  const [first, ...others] = results;
  if (first === undefined || others.length === 0) return [];
  return [
    `\nas alike as ${plain(first.file)} (1 is the same direction)`,
    ...others.map(({ file, result }) => ` ${cosine(first.result, result).toFixed(3)}  ${plain(file)}`),
  ];
}

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / (Math.sqrt(dot(a, a) * dot(b, b)) || 1);
}
