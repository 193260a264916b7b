import { type ParseArgsConfig, parseArgs } from 'node:util';
import type { ArgDef } from 'citty';
import { UsageError } from '../errors.js';
import { quote } from '../text/quote.js';
import type { Command } from './command.js';
import { nearest } from './nearest.js';

/**
 * Refuses what citty accepts: unknown options, options given twice or without a value, and missing
 * or surplus arguments.
 *
 * @throws UsageError `OPTION`, `ARGUMENT`
 */
export function checkArguments({ name, args, repeats }: Command, rawArgs: readonly string[]): void {
  const options = new Map(Object.entries(args).filter(([, { type }]) => type !== 'positional'));
  const { tokens } = parseArgs({
    args: [...rawArgs],
    options: Object.fromEntries([...options].map(([option, def]) => [option, parseConfig(def)])),
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const seen = new Set<string>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const def = options.get(token.name) ?? unknownOption(name, token.rawName, [...options.keys()]);
    if (seen.has(token.name)) refuse(`option ${token.rawName}: expected once, found twice`);
    seen.add(token.name);
    checkValue(token, def);
  }
  for (const [option, def] of options) {
    if (!('required' in def && def.required) || seen.has(option)) continue;
    refuse(`expected option --${option}, found none`);
  }
  checkPositionals(args, repeats, positionals);
}

function parseConfig(def: ArgDef): NonNullable<ParseArgsConfig['options']>[string] {
  const alias = 'alias' in def ? def.alias : undefined;
  return {
    type: def.type === 'boolean' ? 'boolean' : 'string',
    ...(typeof alias === 'string' ? { short: alias } : {}),
  };
}

function unknownOption(command: string, rawName: string, known: string[]): never {
  const near = nearest(rawName.replace(/^-+/, ''), [...known, 'help']);
  const hint = near === undefined ? '' : `; did you mean --${near}?`;
  return refuse(`option ${quote(rawName)}: expected an option of \`fqvit ${command}\`, found none${hint}`);
}

function checkValue(
  token: { rawName: string; value: string | undefined; inlineValue: boolean | undefined },
  def: ArgDef,
): void {
  const { rawName, value, inlineValue } = token;
  if (def.type === 'boolean') {
    if (value !== undefined) refuse(`option ${rawName}: expected no value, found ${quote(value)}`);
    return;
  }
  if (value === undefined || value === '') refuse(`option ${rawName}: expected a value, found none`);
  // A dash and a digit are a negative number, which the option itself checks.
  if (!inlineValue && /^-[^\d.]/.test(value)) {
    refuse(`option ${rawName}: expected a value, found the option ${quote(value)}`);
  }
  if (inlineValue && !rawName.startsWith('--') && value.startsWith('=')) {
    refuse(`option ${rawName}: expected a value after a space, found ${quote(value)}`);
  }
  if (def.type === 'enum' && !def.options?.includes(value)) {
    refuse(`option ${rawName}: expected one of ${def.options?.join(', ')}, found ${quote(value)}`);
  }
}

function checkPositionals(args: Command['args'], repeats: boolean, found: readonly string[]): void {
  const positionals = Object.entries(args).filter(([, { type }]) => type === 'positional');
  const names = positionals.map(([name]) => name.toUpperCase());
  const missing = positionals[found.length]?.[1].required === false ? undefined : names[found.length];
  if (missing !== undefined) throw new UsageError('ARGUMENT', `expected ${missing}, found none`);
  if (found.includes(''))
    throw new UsageError('ARGUMENT', `expected ${names.join(' ')}, found an empty argument`);
  if (found.length > names.length && !repeats) {
    throw new UsageError(
      'ARGUMENT',
      `expected ${names.length} argument${names.length === 1 ? '' : 's'} (${names.join(' ')}), found ${found.length}: ${quote(found[names.length]!)} is too many`,
    );
  }
}

function refuse(message: string): never {
  throw new UsageError('OPTION', message);
}
