// Shared by all benches: the machine, options of the command line, the median, and values that are
// the same in every run. It needs `npm run build`.
import { randomSequence } from '../dist/bench/generated.js';
import { machine as thisMachine } from '../dist/bench/machine.js';
import { version } from '../dist/cli/version.js';

export { median } from '../dist/bench/measure.js';

export const json = process.argv.includes('--json');

/** The machine, the engine and the load: when the bench began, and now. */
export const machine = () => ({ ...thisMachine(), fqvit: version() });

export function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
}

/** Several values, separated by commas. */
export function list(name, fallback) {
  return option(name, fallback).split(',');
}

/**
 * Prints the machine and the rows: a table with three significant digits, or with `--json` all
 * digits.
 *
 * @param about how the rows were measured
 */
export function report(title, about, rows) {
  if (json) {
    console.log(JSON.stringify({ machine: machine(), title, ...about, rows }));
    return;
  }
  console.log(title, { ...machine(), ...about });
  console.table(rows.map(shortened));
}

function shortened(row) {
  const short = (value) => {
    if (typeof value !== 'number') return value;
    return value < 1000 ? +value.toPrecision(3) : Math.round(value);
  };
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [key, short(value)]));
}

/** From -1 to 1. */
export const random = randomSequence();
