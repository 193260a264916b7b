import { listOf } from '../../batch/image-list.js';
import { enqueue } from '../../queue/enqueue.js';
import { describeCommand } from '../command.js';
import { plural } from '../format.js';
import { QUEUE_OPTION, REDIS_OPTION, withQueue } from '../queue-options.js';
import { note } from '../report.js';
import { integerOption } from '../values.js';

/** Images between two progress lines. */
const NOTE_IMAGES = 1_000_000;

export default describeCommand({
  name: 'enqueue',
  summary: 'put a list of photos into a queue, for one or many machines',
  usage: 'DIR|LIST|- [OPTIONS]',
  args: {
    images: {
      type: 'positional',
      required: true,
      description:
        'A folder with its subfolders; a text file with one path per line; or - for such lines on stdin',
    },
    queue: QUEUE_OPTION,
    redis: REDIS_OPTION,
    'job-size': { type: 'string', valueHint: 'N', default: '200', description: 'Photos per job' },
    top: { type: 'string', valueHint: 'N', default: '5', description: 'Classes for each photo, best first' },
  },
  examples: [
    'fqvit enqueue photos/ --queue july',
    'fqvit enqueue list.txt --queue july --redis redis://queue.example:6379',
    'fqvit work --queue july --model m.safetensors -o results/   # on each machine',
    'fqvit queue july   # shows the progress',
  ],
  async run({ images: source, queue: name, redis, 'job-size': size, top }) {
    const jobSize = integerOption('job-size', size, 1, 100_000);
    const classes = integerOption('top', top, 1);
    let noted = 0;
    const onProgress = (images: number) => {
      if (images - noted < NOTE_IMAGES) return;
      noted = images;
      note(`fqvit: ${plural(images, 'image')} so far`);
    };
    const { images, parts, added } = await withQueue(name, redis, { isPatient: false }, (queue) =>
      enqueue(queue, listOf(source), { jobSize, top: classes, onProgress }),
    );
    const before = added === parts ? '' : `, ${plural(parts - added, 'part')} already queued`;
    note(`fqvit: queue ${name}: ${plural(images, 'image')} in ${plural(parts, 'part')}${before}`);
  },
});
