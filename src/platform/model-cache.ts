/** Where models are kept by the SHA-256 of their bytes, 64 hexadecimal digits. What it gives is to be checked. */
export interface ModelCache {
  /** May fail where there is none. */
  get(sha256: string): Promise<Uint8Array | undefined>;
  put(sha256: string, bytes: Uint8Array): Promise<void>;
}
