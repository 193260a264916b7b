/** Lets timers, signals and whatever else waits run: a forward pass keeps the thread busy, and so would a list of them. */
export function breathe(): Promise<void> {
  // A timer of 0 ms that is due already would run before what waits; Node's immediates run after it.
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve);
  });
}
