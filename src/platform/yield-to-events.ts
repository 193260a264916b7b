/**
 * Lets timers, signals and other waiting tasks run between forward passes, which block the thread.
 */
export function yieldToEvents(): Promise<void> {
  // A timer of 0 ms that is due would run before the waiting tasks; Node's immediates run after.
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });
}
