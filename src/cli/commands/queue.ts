import { FqvitError } from '../../errors.js';
import type { QueueStatus } from '../../queue/part-queue.js';
import { describeCommand } from '../command.js';
import { formatCount, plain, plural } from '../format.js';
import { REDIS_OPTION, withQueue } from '../queue-options.js';
import { note, print, printJson } from '../report.js';

export default describeCommand({
  name: 'queue',
  summary: 'show how far a queue is',
  usage: 'NAME [OPTIONS]',
  args: {
    name: { type: 'positional', required: true, description: 'Name of the queue' },
    redis: REDIS_OPTION,
    retry: { type: 'boolean', description: 'Put parts that have failed back among those that wait' },
    remove: { type: 'boolean', description: 'Take the queue out of Redis; the parts in the output stay' },
    json: {
      type: 'boolean',
      description:
        'Print JSON: {queue, isListed, parts, waiting, active, done, failed, failures: [{part, reason}]}',
    },
  },
  examples: ['fqvit queue july', 'fqvit queue july --retry', 'fqvit queue july --remove'],
  run: ({ name, redis, retry, remove, json }) =>
    withQueue(name, redis, { isPatient: false }, async (queue) => {
      if (!(await queue.isKnown())) {
        throw new FqvitError('QUEUE_UNKNOWN', `queue ${name}: expected one that has a list, found none`);
      }
      if (retry) await queue.retryFailed();
      const status = await queue.status();
      if (json) printJson(status);
      else print(lines(status));
      if (!remove) return;
      await queue.remove();
      note(`fqvit: queue ${name} is removed`);
    }),
});

function lines({ queue, isListed, parts, waiting, active, done, failed, failures }: QueueStatus): string {
  const numbers = Object.entries({ waiting, active, done, failed });
  return [
    `queue ${queue}: ${plural(parts, 'part')}${isListed ? '' : ', the list is not whole yet'}`,
    ...numbers.map(([what, count]) => `  ${what.padEnd(8)} ${formatCount(count)}`),
    ...failures.map(({ part, reason }) => plain(`  ${part}: ${reason}`)),
  ].join('\n');
}
