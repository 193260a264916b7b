/** Tells how to use a float model. A placeholder name, such as `checkpoint`, becomes `FLOAT`. */
export function quantizeCommand(file: string): string {
  const source = /[./]/.test(file) ? shellQuoted(file) : 'FLOAT';
  return `run \`fqvit quantize ${source} -o m.safetensors\`, then use m.safetensors`;
}

/** A name as a shell reads it, for commands that people copy. */
export function shellQuoted(name: string): string {
  return /^[\w@%+=:,./-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
}
