import { FqvitError, UsageError } from '../../errors.js';
import { openFolder } from '../../queue/folder.js';
import type { QueueStatus } from '../../queue/part-queue.js';
import { describeCommand } from '../command.js';
import { escapeControls, formatCount, plural } from '../format.js';
import { REDIS_OPTION, withQueue } from '../queue-options.js';
import { note, print, printJson } from '../report.js';

export default describeCommand({
  name: 'queue',
  summary: 'show the progress of a queue',
  usage: 'NAME [OPTIONS]',
  args: {
    name: { type: 'positional', required: true, description: 'Name of the queue' },
    redis: REDIS_OPTION,
    retry: { type: 'boolean', description: 'Queue the failed parts again' },
    output: {
      type: 'string',
      alias: 'o',
      valueHint: 'DIR',
      description: 'With --retry: also queue again the parts that are done but missing in this folder',
    },
    remove: { type: 'boolean', description: 'Delete the queue from Redis; results stay' },
    json: {
      type: 'boolean',
      description:
        'Print JSON: {queue, isListed, parts, missing, waiting, active, done, failed, failures: [{part, reason}]}',
    },
  },
  examples: ['fqvit queue july', 'fqvit queue july --retry', 'fqvit queue july --remove'],
  async run({ name, redis, retry, output, remove, json }) {
    if (output !== undefined && !retry) {
      throw new UsageError('OPTION', 'option --output: expected --retry with it, found none');
    }
    const folder = output === undefined ? undefined : await openFolder(output);
    await withQueue(name, redis, { isPatient: false, mayEvict: remove === true }, async (queue) => {
      if (!(await queue.isKnown())) {
        throw new FqvitError('QUEUE_UNKNOWN', `queue ${name}: expected a queue with a list, found none`);
      }
      if (retry) await queue.retryFailed();
      if (folder) await queue.retryMissing(folder);
      const list = await queue.list().catch((error: unknown) => {
        if (!remove) throw error;
        return undefined;
      });
      const { images: _, ...status } = await queue.status(list);
      if (json) printJson(status);
      else print(lines(status));
      if (remove) {
        await queue.remove();
        note(`fqvit: queue ${name} is removed`);
        return;
      }
      if (list === undefined) throw queue.lost('its list', 'none any more');
      if (list.isWhole && status.missing > 0) {
        throw queue.lost(`${list.parts} parts`, `${list.parts - status.missing}`);
      }
    });
  },
});

function lines({ queue, isListed, parts, missing, failures, ...counts }: QueueStatus): string {
  const { waiting, active, done, failed } = counts;
  const numbers = Object.entries({ waiting, active, done, failed, ...(missing > 0 ? { missing } : {}) });
  return [
    `queue ${queue}: ${plural(parts, 'part')}${isListed ? '' : ', the list is not complete yet'}`,
    ...numbers.map(([what, count]) => `  ${what.padEnd(8)} ${formatCount(count)}`),
    ...failures.map(({ part, reason }) => escapeControls(`  ${part}: ${reason}`)),
  ].join('\n');
}
