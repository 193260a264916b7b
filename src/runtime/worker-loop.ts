import { link, type Program } from '../models/integer/calls.js';
import { instantiateKernels } from './kernels.js';
import { END, JOB_WORDS, STOP_WORD, type WorkerTask } from './worker-task.js';

/** Looks at the job before the thread sleeps, so that images in a row find it awake: some 50 µs. */
const SPINS = 5_000;

/**
 * What a worker of a team does: waits for jobs and runs its calls, one thread of a forward pass.
 *
 * @param reply called once: with nothing when the kernels are there, else with what went wrong
 */
export async function work(
  { module, memory, calls, job }: WorkerTask,
  reply: (error?: unknown) => void,
): Promise<void> {
  const jobs = new Int32Array(memory.buffer, job, JOB_WORDS);
  let done = Atomics.load(jobs, 0);
  let program: Program;
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

/** Behind each barrier the threads are at the same place: there they can end together. */
function execute(program: Program, jobs: Int32Array): void {
  const [barrier] = program.at(-1)!;
  let passed = 0;
  for (const [kernel, operands] of program) {
    kernel(...operands);
    if (kernel !== barrier || ++passed !== Atomics.load(jobs, STOP_WORD)) continue;
    kernel(...operands);
    return;
  }
}
