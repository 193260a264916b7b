export interface Block {
  readonly commands: readonly { readonly text: string; readonly line: number }[];
  readonly skip: string | undefined;
  readonly output: string | undefined;
}
export function readBlocks(path: string): Block[];
export function shows(found: string, expected: string, exactly: boolean): boolean;
