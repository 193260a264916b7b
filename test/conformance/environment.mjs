// The Python that makes the models: pinned packages in .conformance/, or those of
// FQVIT_CONFORMANCE_PYTHON.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));

/**
 * @param folder where the packages are installed
 * @param library a name that ends in `-4` for transformers 4
 * @returns the command, and the environment variables that it needs
 */
export function environment(folder, library) {
  const command = process.env.FQVIT_CONFORMANCE_PYTHON ?? ownPython(folder);
  const overlay = library.endsWith('-4') ? [transformers4(folder, command)] : [];
  const path = [...overlay, process.env.PYTHONPATH].filter(Boolean);
  return { command, env: { PYTHONPATH: path.join(process.platform === 'win32' ? ';' : ':') } };
}

function ownPython(folder) {
  const place = join(folder, 'venv');
  const python = process.platform === 'win32' ? join(place, 'Scripts/python.exe') : join(place, 'bin/python');
  installed(place, 'requirements.txt', (requirements) => {
    run(process.platform === 'win32' ? 'python' : 'python3', '-m', 'venv', place);
    run(python, '-m', 'pip', 'install', '--quiet', '-r', requirements);
  });
  return python;
}

function transformers4(folder, python) {
  const given = process.env.FQVIT_CONFORMANCE_TRANSFORMERS_4;
  if (given) return given;
  const place = join(folder, 'transformers-4');
  installed(place, 'requirements-4.txt', (requirements) =>
    run(python, '-m', 'pip', 'install', '--quiet', '--target', place, '-r', requirements),
  );
  return place;
}

/** Installs again if the requirements have changed since the last installation. */
function installed(place, file, install) {
  const requirements = join(here, file);
  const stamp = join(place, 'installed.txt');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  rmSync(place, { recursive: true, force: true });
  install(requirements);
  writeFileSync(stamp, wanted);
}

function run(command, ...args) {
  console.error(`${command} ${args.join(' ')}`);
  execFileSync(command, args, { stdio: ['ignore', 2, 2] });
}
