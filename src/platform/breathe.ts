/** Lets timers, signals and whatever else waits run: a forward pass keeps the thread busy, and so would a list of them. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}
