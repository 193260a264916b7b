// `npm test [-- JEST OPTIONS]`: sets up a fresh clone, checks format, lint and types, runs the
// tests, and ends with the line `N passed, N failed, N skipped`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setup, setupRuntimes } from './setup.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
setup();
setupRuntimes();

const run = (...args) => spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
const checks = [
  run('node_modules/@biomejs/biome/bin/biome', 'check', '.'),
  run('node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'),
  run('node_modules/typescript/bin/tsc', '-p', 'assembly'),
];
if (checks.some((status) => status !== 0)) process.exit(1);

const folder = mkdtempSync(join(tmpdir(), 'fqvit-test-'));
const report = join(folder, 'report.json');
const status = run(
  '--experimental-vm-modules',
  '--disable-warning=ExperimentalWarning',
  'node_modules/jest/bin/jest.js',
  '--json',
  `--outputFile=${report}`,
  ...process.argv.slice(2),
);
const { numPassedTests, numFailedTests, numPendingTests, numRuntimeErrorTestSuites } = JSON.parse(
  readFileSync(report, 'utf8'),
);
rmSync(folder, { recursive: true });
const failed = numFailedTests + numRuntimeErrorTestSuites;
console.log(`${numPassedTests} passed, ${failed} failed, ${numPendingTests} skipped`);
process.exit(failed > 0 || numPassedTests === 0 ? 1 : status);
