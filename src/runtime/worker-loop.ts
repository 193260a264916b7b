import { type LinkedCalls, link } from './calls.js';
import { instantiateKernels } from './kernels.js';
import { END, JOB_WORDS, STOP_WORD, type WorkerTask } from './worker-task.js';

/**
 * How often the thread reads the job before it sleeps, some 50 µs: the next image finds it awake.
 */
const SPINS = 5_000;

/**
 * The loop of a team's worker: it waits for jobs and runs its calls, one thread of a forward pass.
 *
 * @param reply called once: without an argument when the kernels are ready, else with the error
 */
export async function work(
  { module, memory, calls, job }: WorkerTask,
  reply: (error?: unknown) => void,
): Promise<void> {
  const jobs = new Int32Array(memory.buffer, job, JOB_WORDS);
  let done = Atomics.load(jobs, 0);
  let program: LinkedCalls;
  try {
    program = link(calls, await instantiateKernels(module, memory, true));
  } catch (error) {
    reply(error);
    return;
  }
  reply();
  for (;;) {
    for (let i = 0; i < SPINS && Atomics.load(jobs, 0) === done; i++);
    Atomics.wait(jobs, 0, done);
    const next = Atomics.load(jobs, 0);
    if (next === END) return;
    if (next === done) continue;
    done = next;
    execute(program, jobs);
  }
}

/** After each barrier all threads are at the same place, where they can end together. */
function execute(program: LinkedCalls, jobs: Int32Array): void {
  const [barrier] = program.at(-1)!;
  let passed = 0;
  for (const [kernel, operands] of program) {
    kernel(...operands);
    if (kernel !== barrier || ++passed !== Atomics.load(jobs, STOP_WORD)) continue;
    kernel(...operands);
    return;
  }
}
