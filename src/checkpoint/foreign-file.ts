/**
 * What else people hand over as a checkpoint, recognised by its first bytes so that the message can say what to do.
 */

import { quantizeCommand } from './quantize-command.js';

/** Bytes looked at: a Git LFS pointer needs most of them. */
const PREFIX_BYTES = 48;

/**
 * Names a file that is no safetensors file. None of these signatures is a valid header length: bytes 4 to 7 of a
 * safetensors file are 0.
 *
 * @param file how messages name it
 * @returns what the file is and what to do about it, or `undefined` where nothing is recognised
 */
export function describeForeignFile(bytes: Uint8Array, file: string): string | undefined {
  const prefix = String.fromCharCode(...bytes.subarray(0, PREFIX_BYTES))
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart();
  if (isTorch(bytes)) {
    return `not a safetensors file but a PyTorch checkpoint, a float one: ${quantizeCommand(file)} makes an integer checkpoint from it`;
  }
  if (isOnnx(bytes)) {
    return `not a safetensors file but an ONNX model: ${quantizeCommand(file)} makes an integer checkpoint from a float one`;
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

/** A ZIP archive, or the first opcode of a pickle and its protocol. */
export function isTorch(bytes: Uint8Array): boolean {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  return isZip || (bytes[0] === 0x80 && bytes[1]! >= 1 && bytes[1]! <= 5);
}

/** Field 1 of the message, its version; a safetensors file has four zeros in the upper half of its header's length. */
export function isOnnx(bytes: Uint8Array): boolean {
  return bytes[0] === 0x08 && bytes.length >= 8 && bytes.subarray(4, 8).some((byte) => byte !== 0);
}
