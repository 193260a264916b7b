/**
 * A cache of models, by the SHA-256 of their bytes in hexadecimal. The caller must check the bytes
 * that it returns.
 */
export interface ModelCache {
  /** May fail if there is no cache. */
  get(sha256: string): Promise<Uint8Array | undefined>;
  put(sha256: string, bytes: Uint8Array): Promise<void>;
}
