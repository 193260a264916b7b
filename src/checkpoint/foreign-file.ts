/**
 * What else people hand over as a checkpoint, recognised by its first bytes so that the message can say what to do.
 */

/** Bytes looked at: a Git LFS pointer needs most of them. */
const PREFIX_BYTES = 48;

/**
 * Names a file that is no safetensors file. None of these signatures is a valid header length: bytes 4 to 7 of a
 * safetensors file are 0.
 *
 * @returns what the file is and what to do about it, or `undefined` where nothing is recognised
 */
export function describeForeignFile(bytes: Uint8Array): string | undefined {
  const prefix = String.fromCharCode(...bytes.subarray(0, PREFIX_BYTES))
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart();
  const pickleProtocol = bytes[0] === 0x80 ? (bytes[1] ?? 0) : 0;
  if (prefix.startsWith('PK') || (pickleProtocol >= 1 && pickleProtocol <= 5)) {
    return 'not a safetensors file but a PyTorch checkpoint, a float one: `fqvit quantize` makes an integer checkpoint from it';
  }
  if (prefix.startsWith('version https://git-lfs')) {
    return 'not a safetensors file but a Git LFS pointer; fetch the file itself with git lfs pull';
  }
  if (prefix.startsWith('<'))
    return 'not a safetensors file but a web page (HTML or XML); was an error page saved in its place?';
  if (prefix.startsWith('{') || prefix.startsWith('[')) {
    return 'not a safetensors file but JSON; was an error message or a config.json saved in its place?';
  }
  return undefined;
}
