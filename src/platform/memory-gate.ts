/** Where images wait for memory to be decoded in. */
export interface MemoryGate {
  /** Bytes in all: what needs more never gets in. */
  readonly limit: number;
  /**
   * Waits until there are so many bytes, after those who have waited longer.
   *
   * @returns gives them back; it is told how many of them are left to the garbage collector
   * @throws the reason of `signal`
   */
  enter(bytes: number, signal: AbortSignal | undefined): Promise<(left: number) => void>;
}

/** Images that take no more do not wait. A thread decodes one at a time, so that these bytes are a part of what the thread itself takes. */
export const UNCOUNTED_BYTES = 16 * 2 ** 20;
