/** Recognises other files passed as a checkpoint, so that the message can say what to do. */

import { quantizeCommand } from '../../text/quantize-command.js';

/** Bytes to inspect: a Git LFS pointer needs most of them. */
const PREFIX_BYTES = 48;

/**
 * Describes a file that is not a safetensors file. No signature here is a valid header length:
 * bytes 4 to 7 of a safetensors file are 0.
 *
 * @param file the file name for messages
 * @returns what the file is and what to do about it, or `undefined` if it is unknown
 */
export function describeForeignFile(bytes: Uint8Array, file: string): string | undefined {
  const prefix = String.fromCharCode(...bytes.subarray(0, PREFIX_BYTES))
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart();
  if (isTorch(bytes)) {
    return `expected a safetensors file, found a PyTorch checkpoint; this is a float model: ${quantizeCommand(file)}`;
  }
  if (isOnnx(bytes)) {
    return `expected a safetensors file, found an ONNX model; if it is a float model, ${quantizeCommand(file)}`;
  }
  if (prefix.startsWith('version https://git-lfs')) {
    return 'expected a safetensors file, found a Git LFS pointer; fetch the file itself with git lfs pull';
  }
  if (prefix.startsWith('<'))
    return 'expected a safetensors file, found a web page (HTML or XML); was an error page saved in its place?';
  if (prefix.startsWith('{') || prefix.startsWith('[')) {
    return 'expected a safetensors file, found JSON; was an error message or a config.json saved in its place?';
  }
  return undefined;
}

/** Whether the file begins with `PK` of a ZIP archive, or the PROTO opcode of a pickle. */
export function isTorch(bytes: Uint8Array): boolean {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  return isZip || (bytes[0] === 0x80 && bytes[1]! >= 1 && bytes[1]! <= 5);
}

/**
 * Whether the file begins with field 1, the version. A safetensors file may begin with the same
 * byte, but has zeros in bytes 4 to 7.
 */
export function isOnnx(bytes: Uint8Array): boolean {
  return bytes[0] === 0x08 && bytes.length >= 8 && bytes.subarray(4, 8).some((byte) => byte !== 0);
}
