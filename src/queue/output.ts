import { partName } from './part.js';

/** The destination of the parts. */
export interface PartOutput {
  /**
   * Writes a file completely or not at all, replacing one of that name. @throws FqvitError `OUTPUT`
   */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /**
   * Which of these files are missing; undefined if the output cannot tell. @throws FqvitError
   * `OUTPUT`
   */
  readonly missing?: (names: readonly string[]) => Promise<string[]>;
}

/** The file of a part. */
export function fileOf(queue: string, part: string): string {
  return `${queue}-${part}.jsonl`;
}

/**
 * The names of a list's parts without a file. @param count parts of the list @throws FqvitError
 * `OUTPUT`
 */
export async function missingParts(queue: string, count: number, output: PartOutput): Promise<string[]> {
  const parts = Array.from({ length: count }, (_, number) => partName(number));
  const absent = new Set(await output.missing?.(parts.map((part) => fileOf(queue, part))));
  return parts.filter((part) => absent.has(fileOf(queue, part)));
}
