// Shared by all benches: the machine, options of the command line, the median, values that are the same in every run.
import { readFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';

export const json = process.argv.includes('--json');

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const before = loadavg()[0];

/** The machine, the versions, and how busy it was when the bench began and is now (the load average of a minute). */
export function machine() {
  const [cpu] = cpus();
  return {
    cpu: cpu.model,
    cores: cpus().length,
    node: process.version,
    v8: process.versions.v8,
    fqvit: version,
    load: { before, after: loadavg()[0] },
  };
}

export function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
}

/** Several values, comma between them. */
export function list(name, fallback) {
  return option(name, fallback).split(',');
}

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/**
 * Prints the machine and the rows: a table of three significant digits, or with `--json` everything in full.
 *
 * @param about how it was measured
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

let state = 1;

/** From -1 to 1. */
export function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 31 - 1;
}
