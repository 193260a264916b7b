import type { Command } from './command.js';

interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<{ default: Command }>;
}

/** Each loads only when it runs, which keeps the general help fast. */
export const COMMANDS: ReadonlyMap<string, CommandEntry> = new Map([
  ['classify', { summary: 'Classify photos', load: () => import('./commands/classify.js') }],
  ['batch', { summary: 'Classify many photos on all cores', load: () => import('./commands/batch.js') }],
  [
    'enqueue',
    {
      summary: 'Put a list of photos into a queue',
      load: () => import('./commands/enqueue.js'),
    },
  ],
  ['work', { summary: 'Classify the photos of a queue', load: () => import('./commands/work.js') }],
  ['queue', { summary: 'Show the progress of a queue', load: () => import('./commands/queue.js') }],
  [
    'quantize',
    { summary: 'Turn a float checkpoint into an integer one', load: () => import('./commands/quantize.js') },
  ],
  ['eval', { summary: 'Measure accuracy on labelled photos', load: () => import('./commands/eval.js') }],
  ['features', { summary: 'Turn photos into feature vectors', load: () => import('./commands/features.js') }],
  ['serve', { summary: 'Classify photos over HTTP', load: () => import('./commands/serve.js') }],
  [
    'bench',
    {
      summary: 'Compare the speed of integer and float models on this machine',
      load: () => import('./commands/bench.js'),
    },
  ],
  ['inspect', { summary: 'Show what is in a checkpoint', load: () => import('./commands/inspect.js') }],
  [
    'complete',
    {
      summary: 'Print a shell completion script',
      load: () => import('./commands/complete.js'),
    },
  ],
]);
