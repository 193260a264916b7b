// `node scripts/configs-doc.mjs` writes docs/configs.md from the tables of verdicts, after a build.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const INTRODUCTION = `# What fqvit reads in a config

After this page you know what fqvit does with each key in the \`config.json\` and
\`preprocessor_config.json\` of a model.

A key is **applied**, it is **harmless**, or **only** some of its values are accepted. \`null\` and an
absent key mean the library's default. fqvit refuses a value that changes the answer and that it
cannot apply, and names it. It ignores unknown keys with a warning, like the library, except
\`do_…: true\` and keys of \`model_args\`, which it refuses.

\`node scripts/configs-doc.mjs\` generates this page from the tables in \`src/checkpoint/config\`.
\`scripts/library_keys.py\` lists the keys that timm and transformers know; a test compares the two.
`;

const shown = (value) => `\`${JSON.stringify(value)}\``;
const escaped = (text) => text.replaceAll('|', '\\|');

function row({ keys, applied, harmless, only, because }) {
  const verdict =
    applied !== undefined
      ? `applied: ${applied}`
      : harmless !== undefined
        ? `harmless: ${harmless}`
        : `only ${only.length > 0 ? only.map(shown).join(' or ') : '`null`'}; other values ask for ${because}`;
  return `| ${keys.map((key) => `\`${key}\``).join(', ')} | ${escaped(verdict)} |`;
}

const list = (table) => Object.entries(table).map(([name, reason]) => `| \`${name}\` | ${escaped(reason)} |`);

/** The page: these tables, and the classes and model types that are refused. */
export function configsPage(tables, unsupported) {
  const sections = tables.map(
    ({ title, verdicts }) =>
      `## ${title}\n\n| key | verdict |\n| --- | --- |\n${verdicts.map(row).join('\n')}\n`,
  );
  const refused = `## Model types and classes of transformers that are refused\n\n| name | it has |\n| --- | --- |\n${list(unsupported).join('\n')}\n`;
  return [INTRODUCTION, ...sections, refused].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const timm = await import('../dist/checkpoint/config/timm-keys.js');
  const transformers = await import('../dist/checkpoint/config/transformers-keys.js');
  const { TRANSFORMERS_CONFIG, PREPROCESSOR_CONFIG, UNSUPPORTED } = transformers;
  const tables = [
    TRANSFORMERS_CONFIG,
    PREPROCESSOR_CONFIG,
    timm.TIMM_CONFIG,
    timm.PRETRAINED_CFG,
    timm.MODEL_ARGS,
  ];
  writeFileSync(new URL('../docs/configs.md', import.meta.url), configsPage(tables, UNSUPPORTED));
}
