import { partName } from './part.js';

/** Where the parts go. */
export interface PartOutput {
  /** Writes a file whole or not at all, in place of one of that name. @throws FqvitError `OUTPUT` */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Which of these files are not there; undefined for an output that does not say. @throws FqvitError `OUTPUT` */
  readonly missing?: (names: readonly string[]) => Promise<string[]>;
}

/** The file of a part. */
export function fileOf(queue: string, part: string): string {
  return `${queue}-${part}.jsonl`;
}

/** The names of a list's parts, of `count`, whose files are not there. @throws FqvitError `OUTPUT` */
export async function missingParts(queue: string, count: number, output: PartOutput): Promise<string[]> {
  const parts = Array.from({ length: count }, (_, number) => partName(number));
  const absent = new Set(await output.missing?.(parts.map((part) => fileOf(queue, part))));
  return parts.filter((part) => absent.has(fileOf(queue, part)));
}
