// Writes docs/models.md: the results of a run.

/** Columns of text. */
const WIDTH = 100;

/** From best to worst: a model gets the verdict of its worst form. */
const VERDICTS = ['equal', 'torchvision', 'unfit', 'refused', 'library', 'WRONG', 'CRASH'];

/**
 * @param results the results of `run.mjs`
 * @param versions the versions of each library's packages
 */
export function page(results, versions) {
  const timm = results.filter(({ library }) => library === 'timm');
  const models = results.filter(({ library }) => library.startsWith('transformers'));
  const processors = results.filter(({ library }) => library.startsWith('processors'));
  const { torch, timm: timmVersion, transformers } = versions.timm;
  const old = versions['transformers-4'].transformers;
  const probed = results.filter(({ probes = 0 }) => probes > 0).length;
  return `${[
    '# Models that are read',
    ...intro(timmVersion, transformers, old, torch, probed),
    ...timmSection(timm),
    ...modelSection(models, transformers, old),
    ...processorSection(processors, transformers, old),
  ].join('\n')}\n`;
}

function intro(timm, transformers, old, torch, probed) {
  return paragraphs(
    "After this page you know which models `fqvit quantize` reads. It lists every model of timm's ViT modules and every ViT-like class of transformers. " +
      'If yours is refused, please open an issue with its hub id.',
    '- **equal**: fqvit reads the model, and computes what the library computes.\n' +
      '- **refused**: a typed error says what is not supported.\n' +
      '- **WRONG** would be a model that is read and gives other logits. There must be none.',
    "`npm run conformance` writes this page. The library builds the model with random weights and the name's own width, heads, patch, image size and layers, " +
      'but only two blocks per stage (one if it is wider than 1100), and saves the folder. fqvit reads that folder, and both compute the same picture in float32. ' +
      'Equal means that the largest difference is at most 1e-3 of the deviation of the logits, and that resize and crop give the same bytes.',
    "The weights make mistakes visible. The head's bias cancels all but a 60th of the logits, and the residual stream is so small that the epsilon of every LayerNorm counts. " +
      'Probes check that. They change one thing at a time (each tensor, the number of heads, the kind of GELU, each epsilon, the pooling), and each change must move ' +
      `the logits by at least 2e-3 of their deviation. In this run ${probed === 0 ? 'they were off (`--no-probe`)' : `${probed} models were probed`}.`,
    `timm ${timm}, transformers ${transformers} and ${old}, torch ${torch}.`,
  );
}

function timmSection(results) {
  const names = [...grouped(results, ({ model }) => model)].map(([model, list]) => ({
    model,
    module: list[0].module,
    tags: list.filter(({ name }) => name !== model),
    worst: worstOf(list),
  }));
  const tags = names.flatMap((one) => one.tags);
  const lines = [
    '',
    '## timm',
    ...paragraphs(
      `${names.length} names: ${counts(names.map(({ worst }) => worst.verdict))}. Each was saved by \`save_for_hf\` and read twice: with the \`model_args\` that timm writes now, and without them, like most models on the hub. ` +
        `For the names that are read, so was every pretrained tag (${tags.length}: ${counts(tags.map(({ verdict }) => verdict))}), each with its own classes, mean, deviation, crop and interpolation, on photos of four shapes.`,
    ),
    '',
    '| module | names | equal | refused |',
    '| --- | --- | --- | --- |',
  ];
  const modules = grouped(names, ({ module }) => module);
  for (const [module, list] of modules) {
    const count = (verdict) => list.filter(({ worst }) => worst.verdict === verdict).length;
    lines.push(`| ${module} | ${list.length} | ${count('equal')} | ${count('refused')} |`);
  }
  for (const [module, list] of modules) {
    lines.push('', `### ${module}`, '');
    lines.push(...byReason(list.map(({ model, worst }) => ({ ...worst, shown: model }))));
  }
  return lines;
}

function modelSection(results, transformers, old) {
  const lines = [
    '',
    '## transformers',
    ...paragraphs(
      `Small models of each class, saved by \`save_pretrained\` of ${transformers} and of ${old}, plain and with one setting of the config changed: ` +
        `${counts(results.map(({ verdict }) => verdict))}. A class without a head is compared by its features: the class token, or the mean if it has none. ` +
        '*library*: the library itself cannot build or run it.',
    ),
  ];
  for (const [module, list] of grouped(results, ({ module }) => module)) {
    lines.push('', `### ${module}`, '');
    const shown = (name) => name.slice(module.length + 1) || 'plain';
    lines.push(...byReason(bothVersions(list, { old, shown })));
  }
  return lines;
}

function processorSection(results, transformers, old) {
  const verdicts = VERDICTS.filter((verdict) => results.some((one) => one.verdict === verdict));
  const lines = [
    '',
    '## Image processors of transformers',
    ...paragraphs(
      `\`preprocessor_config.json\` of each class with one setting changed, as ${transformers} and ${old} understand it, in both backends, Pillow and torchvision. ` +
        `We compare the values that the model sees for four photos: ${counts(results.map(({ verdict }) => verdict))}. [Configs](configs.md) says what fqvit does with each key. ` +
        "*unfit*: the library's pixels do not have the size that the model takes, and it stops; fqvit gives the model the same part of the photo at its own size, with a warning. " +
        '*library*: the library has no such class or backend, or fails. ' +
        `*torchvision*: the same class with Pillow gives fqvit's pixels; torchvision, whose resize differs and always starts with the width, is off by up to ${Math.round(farthest(results))} levels of 256.`,
    ),
    '',
    `| class | ${verdicts.join(' | ')} |`,
    `| --- ${'| --- '.repeat(verdicts.length)}|`,
  ];
  for (const [module, list] of grouped(results, ({ module }) => module)) {
    const count = (verdict) => list.filter((one) => one.verdict === verdict).length;
    lines.push(`| ${module} | ${verdicts.map(count).join(' | ')} |`);
  }
  const wrong = results.filter(({ verdict }) => ['WRONG', 'CRASH'].includes(verdict));
  if (wrong.length > 0) lines.push('', ...byReason(wrong.map((one) => ({ ...one, shown: one.key }))));
  return lines;
}

function farthest(results) {
  return Math.max(
    0,
    ...results.filter(({ verdict }) => verdict === 'torchvision').map(({ difference }) => difference),
  );
}

/** One entry per name if both versions agree, else one per version. */
function bothVersions(results, { old, shown }) {
  return [...grouped(results, ({ name }) => name)].flatMap(([name, list]) => {
    const verdicts = grouped(list, (one) => `${one.verdict} ${reasonOf(one)}`);
    if (verdicts.size === 1) return [{ ...list[0], shown: shown(name) }];
    const version = ({ library }) => (library.endsWith('-4') ? old : 'transformers 5');
    return list.map((one) => ({ ...one, shown: `${shown(name)} (${version(one)})` }));
  });
}

/** One list item per verdict and reason, with the names that share them. */
function byReason(entries) {
  const groups = [...grouped(entries, (one) => `${VERDICTS.indexOf(one.verdict)} ${reasonOf(one)}`)];
  groups.sort(([a, one], [b, other]) => a[0].localeCompare(b[0]) || other.length - one.length);
  return groups.flatMap(([, list]) => {
    const reason = reasonOf(list[0]);
    const names = list.map(({ shown }) => shown).join(', ');
    return wrapped(`- **${list[0].verdict}**${reason ? ` (${reason})` : ''}: ${names}`, '  ');
  });
}

/** The reason without the details that differ from name to name. */
function reasonOf({ verdict, message = '', reason = '' }) {
  const text = verdict === 'refused' ? message : verdict === 'equal' ? '' : reason;
  return text
    .split('\n')[0]
    .replace(/^(config\.json|model\.safetensors): /, '')
    .replace(/^architecture: .* is not supported: /, '')
    .replace(/, found (?!nothing|other).*$/, '')
    .replace(/\b(the) \d+ (tensors) .*$/, '$1 $2 of a model that is read')
    .replaceAll('|', '\\|');
}

function worstOf(list) {
  return list.reduce((worst, one) =>
    VERDICTS.indexOf(one.verdict) > VERDICTS.indexOf(worst.verdict) ? one : worst,
  );
}

function counts(verdicts) {
  const list = [...grouped(verdicts, (one) => one)].sort(
    ([a], [b]) => VERDICTS.indexOf(a) - VERDICTS.indexOf(b),
  );
  if (!verdicts.includes('WRONG')) list.push(['WRONG', []]);
  return list.map(([verdict, { length }]) => `${length} ${verdict}`).join(', ');
}

export function grouped(list, keyOf) {
  const groups = new Map();
  for (const one of list) {
    const key = keyOf(one);
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(one);
  }
  return groups;
}

function paragraphs(...texts) {
  return texts.flatMap((text) => [
    '',
    ...text.split('\n').flatMap((line) => wrapped(line, line.startsWith('- ') ? '  ' : '')),
  ]);
}

function wrapped(text, indent = '') {
  const lines = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = indent + word;
    } else line += line === '' ? word : ` ${word}`;
  }
  return [...lines, line];
}

/**
 * The largest difference that another order of the two passes may make. Measured: 14 levels on a
 * tall photo; a crop that is off by a pixel makes more than 100.
 */
const PASSES_LEVELS = 20;

/** Marks results that differ only by torchvision's own resize: the class with Pillow agrees. */
export function judged(results) {
  const wrong = new Set(results.filter(({ verdict }) => verdict === 'WRONG').map(({ key }) => key));
  const twin = (key) => key.replace('(torchvision)', '(pil)');
  return results.map((result) =>
    wrong.has(result.key) &&
    twin(result.key) !== result.key &&
    !wrong.has(twin(result.key)) &&
    result.difference <= PASSES_LEVELS
      ? { ...result, verdict: 'torchvision' }
      : result,
  );
}
