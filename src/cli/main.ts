#!/usr/bin/env node
import { constants } from 'node:os';
import { runCommand } from 'citty';
import { FqvitError, UsageError } from '../errors.js';
import { quote } from '../text/quote.js';
import type { Command } from './command.js';
import { COMMANDS } from './commands.js';
import { nearest } from './nearest.js';
import { stopProgress } from './progress.js';
import { EXIT, note, print, reportError } from './report.js';
import { isHandled } from './signals.js';
import { checkArguments } from './strict.js';
import { commandHelp, generalHelp } from './usage.js';
import { version } from './version.js';

handleSignals();
process.on('uncaughtException', (error) => process.exit(reportError(error)));
handleBrokenPipes();
process.exitCode = await main(process.argv.slice(2));

/** Runs a command line. @returns the exit code */
async function main([name, ...rawArgs]: readonly string[]): Promise<number> {
  try {
    if (name === undefined) {
      process.stderr.write(`${generalHelp(version())}\n`);
      return EXIT.usage;
    }
    if (name === '--help' || name === '-h' || name === 'help') {
      const topic = rawArgs[0];
      print(topic === undefined ? generalHelp(version()) : commandHelp(await findCommand(topic)));
      return EXIT.done;
    }
    if (name === '--version' || name === '-v') {
      print(version());
      return EXIT.done;
    }
    if (name === 'complete' && rawArgs[0] === '--') {
      await (await import('./complete-words.js')).completeWords(rawArgs.slice(1));
      return EXIT.done;
    }
    return await runNamed(await findCommand(name), rawArgs);
  } catch (error) {
    return reportError(error);
  }
}

async function runNamed(command: Command, rawArgs: string[]): Promise<number> {
  if (asksForHelp(rawArgs)) {
    print(commandHelp(command));
    return EXIT.done;
  }
  try {
    checkArguments(command, rawArgs);
    const { result } = await runCommand(command.definition, { rawArgs });
    return typeof result === 'number' ? result : EXIT.done;
  } catch (error) {
    return reportError(error, `fqvit ${command.name} --help`);
  }
}

function asksForHelp(rawArgs: readonly string[]): boolean {
  const end = rawArgs.indexOf('--');
  return rawArgs.slice(0, end < 0 ? undefined : end).some((arg) => arg === '--help' || arg === '-h');
}

async function findCommand(name: string): Promise<Command> {
  const entry = COMMANDS.get(name);
  if (entry) return (await entry.load()).default;
  const near = nearest(name.replace(/^-+/, ''), name.startsWith('-') ? ['help', 'version'] : COMMANDS.keys());
  const hint = near === undefined ? '' : `; did you mean ${name.startsWith('-') ? `--${near}` : near}?`;
  throw new UsageError(
    'COMMAND',
    `expected one of ${[...COMMANDS.keys()].join(', ')}, found ${quote(name)}${hint}`,
  );
}

/** Exits at once, which is safe: no file is half-written when a signal arrives (output-file.ts). */
function handleSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (isHandled(signal)) return;
      stopProgress();
      note('fqvit: interrupted');
      process.exit(128 + constants.signals[signal]);
    });
  }
}

/** A reader that stops early (`fqvit … | head`) is not an error; a full disk is. */
function handleBrokenPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    process.exit(
      reportError(
        new FqvitError('OUTPUT', `standard output: expected a writable stream, found ${error.code}`),
      ),
    );
  });
  process.stderr.on('error', () => {});
}
