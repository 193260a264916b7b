/** The command that quantises `file`; omits a placeholder name, such as `checkpoint`. */
export function quantizeCommand(file: string): string {
  return /[./]/.test(file) ? `\`fqvit quantize ${file}\`` : '`fqvit quantize`';
}
