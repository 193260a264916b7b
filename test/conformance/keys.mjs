// Compares the keys that the installed libraries know with the tables of verdicts.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MODEL_ARGS, PRETRAINED_CFG } from '../../dist/checkpoint/config/timm-keys.js';
import { PREPROCESSOR_CONFIG, TRANSFORMERS_CONFIG } from '../../dist/checkpoint/config/transformers-keys.js';

const script = fileURLToPath(new URL('../../scripts/library_keys.py', import.meta.url));

const TABLES = {
  config: TRANSFORMERS_CONFIG,
  preprocessor: PREPROCESSOR_CONFIG,
  pretrained_cfg: PRETRAINED_CFG,
  model_args: MODEL_ARGS,
};

/**
 * The keys without a verdict, each as `config: key`.
 *
 * @param python the result of `environment`
 */
export function keysWithoutVerdict({ command, env }) {
  const printed = execFileSync(command, [script], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const known = JSON.parse(printed);
  return Object.entries(TABLES).flatMap(([name, { verdicts }]) => {
    const judged = new Set(verdicts.flatMap(({ keys }) => keys));
    return known[name].filter((key) => !judged.has(key)).map((key) => `${name}: ${key}`);
  });
}
