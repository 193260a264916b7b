type Handler = (signal: 'SIGINT' | 'SIGTERM') => void;

let handler: Handler | undefined;

/** Lets a command stop cleanly: `handle` gets the first signal; the second ends the process. */
export function onFirstSignal(handle: Handler): void {
  handler = handle;
}

/** Passes a signal to the command. @returns whether the command handles it */
export function isHandled(signal: 'SIGINT' | 'SIGTERM'): boolean {
  const handle = handler;
  handler = undefined;
  handle?.(signal);
  return handle !== undefined;
}
