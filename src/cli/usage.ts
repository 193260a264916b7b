import type { ArgDef } from 'citty';
import type { Command } from './command.js';
import { COMMANDS } from './commands.js';

/** Columns of the help: those of the terminal, at most these. */
const COLUMNS = 100;
/** Columns of descriptions in a narrow terminal. */
const LEAST_COLUMNS = 30;

type UsageRow = readonly [name: string, description: string];

const HELP_ROW: UsageRow = ['  -h, --help', 'Show this help'];

/** The help of the whole command line. */
export function generalHelp(version: string): string {
  return [
    `fqvit ${version}: image classification in integer arithmetic`,
    '',
    'Usage: fqvit COMMAND [OPTIONS]',
    '',
    'Commands:',
    ...table([...COMMANDS].map(([name, { summary }]) => [`  ${name}`, summary])),
    '',
    'Options:',
    ...table([HELP_ROW, ['  -v, --version', 'Show the version']]),
    '',
    'Examples:',
    '  fqvit classify photo.jpg',
    '  fqvit quantize facebook/deit-tiny-patch16-224 -o m.safetensors',
    '  fqvit classify photo.jpg --model m.safetensors',
    '',
    'fqvit COMMAND --help shows the options of a command.',
    'Results go to stdout, messages and progress to stderr.',
    'Exit codes: 0 done, 1 bad input, 2 wrong usage, 70 a bug in fqvit, 130 and 143 interrupted.',
  ].join('\n');
}

/** The help of a command. */
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
    ...table([
      ...options.map(([arg, def]): UsageRow => [`  ${optionForm(arg, def)}`, describe(def)]),
      HELP_ROW,
    ]),
    '',
    examples.length === 1 ? 'Example:' : 'Examples:',
    ...examples.map((example) => `  ${example}`),
  ].join('\n');
}

function argumentRows(positionals: readonly [string, ArgDef][]): string[] {
  return table(positionals.map(([arg, def]) => [`  ${arg.toUpperCase()}`, def.description ?? '']));
}

/** `-o, --output OUT`. */
function optionForm(name: string, def: ArgDef): string {
  const alias = 'alias' in def && typeof def.alias === 'string' ? `-${def.alias}, ` : '';
  const value = def.type === 'boolean' ? '' : ` ${def.valueHint ?? 'VALUE'}`;
  return `${alias}--${name}${value}`;
}

function describe(def: ArgDef): string {
  const notes = [
    ...(def.type === 'enum' && def.options ? [`one of ${def.options.join(', ')}`] : []),
    ...(def.default === undefined ? [] : [`default: ${def.default}`]),
    ...('required' in def && def.required ? ['required'] : []),
  ];
  return `${def.description ?? ''}${notes.length === 0 ? '' : ` (${notes.join('; ')})`}`;
}

/** Two columns; long descriptions take several lines. */
function table(rows: readonly UsageRow[]): string[] {
  const left = Math.max(...rows.map(([name]) => name.length)) + 2;
  const width = Math.min(process.stdout.columns ?? COLUMNS, COLUMNS);
  return rows.flatMap(([name, description]) =>
    wrapped(description, Math.max(width - left, LEAST_COLUMNS)).map(
      (line, i) => (i === 0 ? name : '').padEnd(left) + line,
    ),
  );
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.pop();
    if (last === undefined) lines.push(word);
    else if (last.length + 1 + word.length <= width) lines.push(`${last} ${word}`);
    else lines.push(last, word);
  }
  return lines;
}
