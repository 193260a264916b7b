import { type ArgsDef, type CommandDef, defineCommand, type ParsedArgs } from 'citty';

/** A citty command, with what strict checking and the help need. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** What follows the name in the usage line of the help. */
  readonly usage: string;
  readonly args: ArgsDef;
  /** The last positional argument may be repeated. */
  readonly repeats: boolean;
  /** Complete command lines. */
  readonly examples: readonly string[];
  /** Its result is the exit code; without one, 0. */
  readonly definition: CommandDef;
}

export interface CommandSpec<T extends ArgsDef> extends Omit<Command, 'args' | 'repeats' | 'definition'> {
  readonly args: T;
  readonly repeats?: boolean;
  // biome-ignore lint/suspicious/noConfusingVoidType: most commands return nothing and exit with 0
  run(args: ParsedArgs<T>): Promise<number | void>;
}

export function describeCommand<const T extends ArgsDef>({
  run,
  repeats = false,
  ...spec
}: CommandSpec<T>): Command {
  const definition = defineCommand({
    meta: { name: spec.name, description: spec.summary },
    args: spec.args,
    run: ({ args }) => run(args),
  });
  return { ...spec, repeats, definition: definition as unknown as CommandDef };
}
