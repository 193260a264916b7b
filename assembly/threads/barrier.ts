/**
 * A barrier of `count` threads: nobody returns before all have come. Each call is one round.
 *
 * state: 12 bytes of shared memory, i32 each, 0 at the start: how many have come, the round, how many sleep. A thread spins for
 * `spins` looks at the round, some 2 ns each, then sleeps: steps of a forward pass end together to a few microseconds, but on a
 * busy machine a thread may be away for milliseconds, and must then not be waited for by burning its core. spins < 0: never
 * sleeps, for a browser's main thread, which may not. Traps where a thread has not come after two minutes.
 */
const MINUTE: i64 = 60_000_000_000;
const ROUND: usize = 4, SLEEPERS: usize = 8;

export function barrier(state: usize, count: i32, spins: i32): void {
  const round = atomic.load<i32>(state, ROUND);
  if (atomic.add<i32>(state, 1) == count - 1) {
    atomic.store<i32>(state, 0);
    atomic.store<i32>(state, round + 1, ROUND);
    // whoever goes to sleep from now on finds another round, and does not
    if (atomic.load<i32>(state, SLEEPERS) > 0) atomic.notify(state + ROUND, -1);
    return;
  }
  while (spins < 0) if (atomic.load<i32>(state, ROUND) != round) return;
  for (let i = 0; i < spins; i++) if (atomic.load<i32>(state, ROUND) != round) return;
  atomic.add<i32>(state, 1, SLEEPERS);
  // a process that was stopped for minutes finds its first sleep over: the others get another minute
  let late = 0;
  while (atomic.load<i32>(state, ROUND) == round) {
    if (atomic.wait<i32>(state + ROUND, round, MINUTE) == 2 && late++ > 0) unreachable();
  }
  atomic.sub<i32>(state, 1, SLEEPERS);
}
