/** SHA-256 of bytes in parts, 64 hexadecimal digits. */
export async function hashParts(parts: readonly Uint8Array[]): Promise<string | undefined> {
  // WebCrypto would copy the bytes, and takes as long to load
  const { createHash } = await import('node:crypto');
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
