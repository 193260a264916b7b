import type { Command } from './command.js';

interface Entry {
  readonly summary: string;
  readonly load: () => Promise<{ default: Command }>;
}

/** Loaded when they run, so that the general help does not wait for them. */
export const COMMANDS: ReadonlyMap<string, Entry> = new Map([
  ['classify', { summary: 'Say what is in photos', load: () => import('./commands/classify.js') }],
  ['batch', { summary: 'Say what is in many photos', load: () => import('./commands/batch.js') }],
  [
    'enqueue',
    {
      summary: 'Put a list of photos into a queue for many machines',
      load: () => import('./commands/enqueue.js'),
    },
  ],
  ['work', { summary: 'Classify what is in a queue', load: () => import('./commands/work.js') }],
  ['queue', { summary: 'Show how far a queue is', load: () => import('./commands/queue.js') }],
  [
    'quantize',
    { summary: 'Make an integer checkpoint from a float one', load: () => import('./commands/quantize.js') },
  ],
  ['eval', { summary: 'Measure accuracy on labelled photos', load: () => import('./commands/eval.js') }],
  ['features', { summary: 'Turn photos into vectors', load: () => import('./commands/features.js') }],
  ['serve', { summary: 'Answer over HTTP', load: () => import('./commands/serve.js') }],
  ['bench', { summary: 'Measure speed on this machine', load: () => import('./commands/bench.js') }],
  ['inspect', { summary: 'Show what is in a checkpoint', load: () => import('./commands/inspect.js') }],
  [
    'complete',
    {
      summary: 'Print a script that completes commands in your shell',
      load: () => import('./commands/complete.js'),
    },
  ],
]);
