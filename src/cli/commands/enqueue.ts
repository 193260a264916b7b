import { listOf } from '../../batch/image-list.js';
import { enqueue } from '../../queue/enqueue.js';
import { describeCommand } from '../command.js';
import { plural } from '../format.js';
import { QUEUE_OPTION, REDIS_OPTION, withQueue } from '../queue-options.js';
import { note } from '../report.js';
import { integerOption } from '../values.js';

/** Between two lines about how far it is. */
const NOTE_IMAGES = 1_000_000;

export default describeCommand({
  name: 'enqueue',
  summary: 'put a list of photos into a queue for many machines',
  usage: 'DIR|LIST|- [OPTIONS]',
  args: {
    images: {
      type: 'positional',
      required: true,
      description:
        'A folder of photos, a text file with a path a line, or - for such lines on standard input',
    },
    queue: QUEUE_OPTION,
    redis: REDIS_OPTION,
    'job-size': { type: 'string', valueHint: 'N', default: '200', description: 'Photos in a job' },
    top: { type: 'string', valueHint: 'N', default: '5', description: 'Classes of a photo, best first' },
  },
  examples: [
    'fqvit enqueue photos/ --queue july',
    'fqvit enqueue list.txt --queue july --redis redis://queue.example:6379',
    'fqvit work --queue july --model deit_tiny.int8.safetensors -o results/   # on each machine',
    'fqvit queue july   # how far it is',
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
    const before = added === parts ? '' : `, ${plural(parts - added, 'part')} of them there before`;
    note(`fqvit: queue ${name}: ${plural(images, 'image')} in ${plural(parts, 'part')}${before}`);
  },
});
