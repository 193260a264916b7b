type Handler = (signal: 'SIGINT' | 'SIGTERM') => void;

let handler: Handler | undefined;

/** For a command that has something to end in order: it is called with the first signal; the second ends the process. */
export function onFirstSignal(handle: Handler): void {
  handler = handle;
}

/** Whether the command ends by itself. */
export function isHandled(signal: 'SIGINT' | 'SIGTERM'): boolean {
  const handle = handler;
  handler = undefined;
  handle?.(signal);
  return handle !== undefined;
}
