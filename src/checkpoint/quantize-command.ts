/** The command that makes an integer checkpoint, with the name of the float one where that is more than `bytes` or `checkpoint`. */
export function quantizeCommand(file: string): string {
  return /[./]/.test(file) ? `\`fqvit quantize ${file}\`` : '`fqvit quantize`';
}
