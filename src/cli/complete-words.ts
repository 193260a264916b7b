import { RootCommand, ShellCompDirective } from '@bomb.sh/tab';
import type { ArgDef } from 'citty';
import { BUNDLED_MODELS } from '../model/bundled.js';
import { COMMANDS } from './commands.js';
import { SHELLS } from './completions.js';

/**
 * Prints completions for the scripts of `fqvit complete`.
 *
 * @param words the command line; the last word is incomplete
 */
export async function completeWords(words: readonly string[]): Promise<void> {
  const root = new RootCommand();
  for (const [name, { summary, load }] of COMMANDS) {
    const { args, repeats } = (await load()).default;
    const command = root.command(name, summary);
    for (const [arg, def] of Object.entries(args)) {
      const values = valuesOf(arg, def);
      const handler = (complete: (value: string, about: string) => void) => {
        for (const value of values) complete(value, '');
      };
      if (def.type === 'positional') command.argument(arg, handler, repeats);
      else if (def.type === 'boolean') command.option(arg, def.description ?? '');
      else command.option(arg, def.description ?? '', handler);
    }
  }
  // tab forbids the shell to complete files: allow it if nothing else fits
  const word = words.at(-1) ?? '';
  Object.defineProperty(root, 'directive', {
    get: () =>
      root.completions.some(({ value }) => value.startsWith(word))
        ? ShellCompDirective.ShellCompDirectiveNoFileComp
        : ShellCompDirective.ShellCompDirectiveDefault,
    set: () => {},
  });
  root.parse([...words]);
}

function valuesOf(name: string, def: ArgDef): readonly string[] {
  if (def.type === 'enum') return def.options ?? [];
  if (name === 'model' || name === 'm') return BUNDLED_MODELS;
  return name === 'shell' ? SHELLS : [];
}
