import type { Prediction } from '../../model/predict.js';
import { describeCommand } from '../command.js';
import { eachImage, type TimedResult } from '../each-image.js';
import { bar, columns, escapeControls, formatDuration, formatValue } from '../format.js';
import { IMAGE_ARGUMENT, MODEL_OPTION, noteBundled, openModel } from '../image-command.js';
import { EXIT, print, printJson } from '../report.js';
import { integerOption, THREADS_OPTION } from '../values.js';

const BAR_CELLS = 20;

export default describeCommand({
  name: 'classify',
  summary: 'classify photos',
  usage: 'IMAGE... [OPTIONS]',
  args: {
    image: IMAGE_ARGUMENT,
    model: MODEL_OPTION,
    top: {
      type: 'string',
      valueHint: 'N',
      default: '5',
      description: 'Classes to show for each photo, best first',
    },
    threads: THREADS_OPTION,
    json: {
      type: 'boolean',
      description:
        'Print JSON: [{file, model, predictions: [{index, label, probability}], ms}]; a regression model has value instead of probability',
    },
  },
  repeats: true,
  examples: [
    'fqvit classify photo.jpg',
    'fqvit classify photo.jpg --model swin_cifar10',
    'fqvit classify photos/*.jpg --model m.safetensors --top 1',
    'fqvit classify photos/*.jpg --model owner/name --threads 4   # from the Hugging Face hub',
    'fqvit classify photo.jpg --json',
  ],
  async run({ _: files, model: named, top, threads, json }) {
    const count = integerOption('top', top, 1);
    const { model, source, isBundled } = await openModel(named, threads);
    if (isBundled) noteBundled(source, model.info.labels);

    const results = await eachImage(
      files,
      (file) => model.classify(file, { top: count }),
      (one, index) => json || print(`${index > 0 ? '\n' : ''}${block(one)}`),
    );
    model.dispose();
    if (json)
      printJson(results.map(({ file, result, ms }) => ({ file, model: source, predictions: result, ms })));
    return results.length === files.length ? EXIT.done : EXIT.badInput;
  },
});

function block({ file, result, ms }: TimedResult<Prediction[]>): string {
  const rows = result.map(({ label, probability, value }) =>
    value === undefined
      ? [
          ` ${(100 * probability).toFixed(1)} %`,
          bar(probability, BAR_CELLS).padEnd(BAR_CELLS),
          escapeControls(label),
        ]
      : [` ${formatValue(value)}`, escapeControls(label)],
  );
  return [`${escapeControls(file)}  (${formatDuration(ms)})`, ...columns(rows, [0])].join('\n');
}
