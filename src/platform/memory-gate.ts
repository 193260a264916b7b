/** Images wait here for the memory that decoding them takes. */
export interface MemoryGate {
  /** The budget in bytes. An image that needs more is refused. */
  readonly limit: number;
  /**
   * Waits until this many bytes are free, in the order of the calls.
   *
   * @returns a function that gives them back; its argument is the bytes that the garbage collector
   *   has yet to free
   * @throws the reason of `signal`
   */
  enter(bytes: number, signal: AbortSignal | undefined): Promise<(left: number) => void>;
}

/**
 * Images that take at most this do not wait. A thread decodes one image at a time, so these bytes
 * belong to the thread's own memory.
 */
export const UNCOUNTED_BYTES = 16 * 2 ** 20;
