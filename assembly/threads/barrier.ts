/**
 * A barrier of `count` threads: no call returns before all threads have arrived. Each call is one
 * round.
 *
 * state: three i32 in shared memory, 0 at the start: how many threads have arrived, the round, how
 * many sleep. A thread reads the round `spins` times, some 2 ns each, then sleeps: the threads end
 * a step within microseconds of each other, but on a busy machine one may be away for milliseconds,
 * and waiting for it must not burn a core. spins < 0 never sleeps: a browser's main thread may not.
 * Traps if a thread has not arrived after two minutes.
 */
const MINUTE: i64 = 60_000_000_000;
const ROUND: usize = 4, SLEEPERS: usize = 8;

export function barrier(state: usize, count: i32, spins: i32): void {
  const round = atomic.load<i32>(state, ROUND);
  if (atomic.add<i32>(state, 1) == count - 1) {
    atomic.store<i32>(state, 0);
    atomic.store<i32>(state, round + 1, ROUND);
    // a thread that tries to sleep from now on finds a new round and stays awake
    if (atomic.load<i32>(state, SLEEPERS) > 0) atomic.notify(state + ROUND, -1);
    return;
  }
  while (spins < 0) if (atomic.load<i32>(state, ROUND) != round) return;
  for (let i = 0; i < spins; i++) if (atomic.load<i32>(state, ROUND) != round) return;
  atomic.add<i32>(state, 1, SLEEPERS);
  // a process that was suspended finds its first sleep over: the others get another minute
  let late = 0;
  while (atomic.load<i32>(state, ROUND) == round) {
    if (atomic.wait<i32>(state + ROUND, round, MINUTE) == 2 && late++ > 0) unreachable();
  }
  atomic.sub<i32>(state, 1, SLEEPERS);
}
