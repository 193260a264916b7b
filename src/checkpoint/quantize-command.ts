/** Tells how to use a float model. A placeholder name, such as `checkpoint`, becomes `FLOAT`. */
export function quantizeCommand(file: string): string {
  const source = /[./]/.test(file) ? file : 'FLOAT';
  return `run \`fqvit quantize ${source} -o m.safetensors\`, then use m.safetensors`;
}
