// `node scripts/models-doc.mjs`: writes docs/models.md from the table of timm names. Needs a build.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const code = (text) => `\`${text}\``;

function row([name, { family, imageSize, patchSize, dim, heads, tags, prefix = 1, ...rest }]) {
  const isSwin = family === 'swin';
  const notes = [
    ...(prefix === 1 || isSwin ? [] : [`${prefix} tokens before the patches`]),
    ...(rest.pool === 'two-tokens' ? ['two heads'] : rest.pool ? ['mean of the patches'] : []),
    ...(rest.gelu ? [`GELU ${rest.gelu}`] : []),
  ];
  const sizes = isSwin
    ? `window ${rest.window}, dim ${dim}, depths ${rest.depths.join('-')}, heads ${heads.join('-')}`
    : `dim ${dim}, depth ${rest.depth}, heads ${heads}`;
  const known = Object.keys(tags).map(code).join(', ');
  return `| ${code(name)} | ${imageSize} | ${patchSize} | ${[sizes, ...notes].join(', ')} | ${known} |`;
}

/** The page: names that are read, earlier names, and names that are refused. */
export function modelsPage({ TIMM_VERSION, TIMM_NAMES, TIMM_ALIASES, TIMM_REFUSED }) {
  const aliases = Object.entries(TIMM_ALIASES).map(
    ([name, current]) => `| ${code(name)} | ${code(current)} |`,
  );
  const refused = Object.entries(TIMM_REFUSED).map(
    ([reason, names]) => `| ${names.map(code).join(', ')} | ${reason} |`,
  );
  return `# timm names

\`--arch\` and timm's \`config.json\` take these names of timm ${TIMM_VERSION}. A name decides what tensors do not
show: heads, activation, epsilon, block order and preprocessing. A file may have another image size, depth or
MLP than its name, with a warning. It may have another dim only if timm's \`config.json\` says so.

\`NAME.TAG\` chooses the preprocessing of a pretrained tag. Without a tag, the first one decides, but a
DeiT has its authors' crop of 0.875. Models of transformers are read by their \`config.json\`: [configs.md](configs.md).

\`node scripts/models-doc.mjs\` generates this page from \`src/checkpoint/timm-names.ts\`.

## Supported names

| name | image | patch | sizes | tags |
| --- | --- | --- | --- | --- |
${Object.entries(TIMM_NAMES).map(row).join('\n')}

## Earlier names

| name | read as |
| --- | --- |
${aliases.join('\n')}

## Refused names

| name | it has |
| --- | --- |
${refused.join('\n')}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const names = await import('../dist/checkpoint/timm-names.js');
  writeFileSync(new URL('../docs/models.md', import.meta.url), modelsPage(names));
}
