import type { ArgDef } from 'citty';
import type { Command } from './command.js';
import { COMMANDS } from './commands.js';
import { columns } from './format.js';

const HELP_ROW = ['  -h, --help', 'Show this help'];

/** The help of the whole. */
export function generalHelp(version: string): string {
  return [
    `fqvit ${version}: image classification in integer arithmetic`,
    '',
    'Usage: fqvit COMMAND [OPTIONS]',
    '',
    'Commands:',
    ...columns([...COMMANDS].map(([name, { summary }]) => [`  ${name}`, summary])),
    '',
    'Options:',
    ...columns([HELP_ROW, ['  -v, --version', 'Show the version']]),
    '',
    'Examples:',
    '  fqvit classify photo.jpg',
    '  fqvit quantize deit_tiny.safetensors --calibration photos/ -o deit_tiny.int8.safetensors',
    '  fqvit classify photo.jpg --model deit_tiny.int8.safetensors',
    '',
    'Results go to stdout, messages and progress to stderr.',
    'Exit codes: 0 done, 1 the input was bad, 2 wrong usage, 70 a fault in fqvit itself, 130 and 143 interrupted.',
    'fqvit COMMAND --help shows the options of a command.',
  ].join('\n');
}

/** The help of one command. */
export function commandHelp({ name, summary, usage, args, examples }: Command): string {
  const defs = Object.entries(args);
  const positionals = defs.filter(([, { type }]) => type === 'positional');
  const options = defs.filter(([, { type }]) => type !== 'positional');
  return [
    `fqvit ${name}: ${summary}`,
    '',
    `Usage: fqvit ${name} ${usage}`,
    '',
    ...(positionals.length === 0 ? [] : ['Arguments:', ...argumentRows(positionals), '']),
    'Options:',
    ...columns([...options.map(([arg, def]) => [`  ${optionForm(arg, def)}`, describe(def)]), HELP_ROW]),
    '',
    examples.length === 1 ? 'Example:' : 'Examples:',
    ...examples.map((example) => `  ${example}`),
  ].join('\n');
}

function argumentRows(positionals: readonly [string, ArgDef][]): string[] {
  return columns(positionals.map(([arg, def]) => [`  ${arg.toUpperCase()}`, def.description ?? '']));
}

/** `-o, --output OUT`, `--method fq|minmax`. */
function optionForm(name: string, def: ArgDef): string {
  const alias = 'alias' in def && typeof def.alias === 'string' ? `-${def.alias}, ` : '';
  const value = def.type === 'boolean' ? '' : ` ${def.valueHint ?? 'VALUE'}`;
  return `${alias}--${name}${value}`;
}

function describe(def: ArgDef): string {
  const choices = def.type === 'enum' && def.options ? `; one of ${def.options.join(', ')}` : '';
  const fallback = def.default === undefined ? '' : ` (default ${def.default})`;
  const required = 'required' in def && def.required ? ' (required)' : '';
  return `${def.description ?? ''}${choices}${fallback}${required}`;
}
