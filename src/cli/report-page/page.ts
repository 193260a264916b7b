import { createHash } from 'node:crypto';
import { pooledTokens } from '../../architecture/architecture.js';
import { EXACT, LAYER_KINDS, type LayerError, type LayerKind } from '../../quantize/layer-errors.js';
import { formatBytes, formatCount, formatValue, plural } from '../format.js';
import { MEANINGS } from '../meaning.js';
import { describeMethod } from '../recipe.js';
import type { Assets } from './assets.js';
import { Html, html } from './html.js';
import { interval } from './interval.js';
import type { Agreement, ChangedAnswer, Choice, Quality, QuantizedSource } from './quality.js';
import { type PartSize, partSizes } from './sizes.js';

/** The subject of the page. */
export interface PageSource extends QuantizedSource {
  /** The float checkpoint as the user named it, and its size. */
  readonly source: string;
  readonly sourceBytes: number;
  /** The integer checkpoint. */
  readonly output: string;
}

const WORST = 10;
/** Pairs of classes, and photos of each: at most about 0.7 MB. */
const PAIRS_SHOWN = 30;
const PHOTOS_SHOWN = 4;
/** Longest label or file name; a checkpoint may have labels of any length. */
const TEXT_SHOWN = 120;

const KIND_NAMES: Readonly<Record<LayerKind, string>> = {
  layernorm: 'LayerNorm',
  linear: 'linear',
  product: 'attention product',
  softmax: 'softmax',
  gelu: 'GELU',
  addition: 'residual addition',
  other: 'input, tokens, parameters',
};

/**
 * The whole page, which needs no other file. The same inputs give the same text, except for the
 * time per image.
 *
 * @param quality undefined without photos
 */
export function renderPage(source: PageSource, quality: Quality | undefined, assets: Assets): string {
  const { architecture } = source.result.model;
  const title = `${shortened(architecture.name)}: integer checkpoint`;
  const body = html`
<header>
<h1>${title}</h1>
<p class="dim">How close it is to its float model.</p>
${tiles(source, quality)}
${facts(source)}
</header>
<main>
${agreementSection(quality, source.images.length)}
${layerSection(source, quality)}
${differencesSection(source, quality)}
${sizeSection(source)}
</main>
<footer><p class="dim">Made by <code>fqvit quantize --report</code>. This page loads nothing from elsewhere.</p></footer>`;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(assets)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${new Html(assets.style)}</style>
</head>
<body>${body}
${quality ? scripts(assets) : ''}
</body>
</html>
`.text;
}

/** Runs only these scripts and loads nothing, whatever a label or a file name contains. */
function policy({ style, plotter, script }: Assets): string {
  const hash = (text: string) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  return [
    "default-src 'none'",
    'img-src data:',
    `style-src ${hash(style)}`,
    `script-src ${hash(plotter)} ${hash(script)}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function scripts({ plotter, script }: Assets): Html {
  return html`<script>${new Html(plotter)}</script>
<script type="module">${new Html(script)}</script>`;
}

function tiles({ sourceBytes, result }: PageSource, quality: Quality | undefined): Html {
  const { agreement, photos = 0 } = quality ?? {};
  const ratio = (sourceBytes / result.bytes.length).toFixed(1);
  const list: [string, string][] = [[`${ratio} times smaller`, formatBytes(result.bytes.length)]];
  if (agreement) {
    if (agreement.output === 'value')
      list.push(['mean distance from float', formatValue(agreement.difference)]);
    else
      list.push(
        agreement.output === 'softmax'
          ? ['same class as float', percent(agreement.same / photos)]
          : ['same decisions as float', percent(agreement.agreement)],
        ['mean KL from float, nats', agreement.kl.toFixed(4)],
      );
  }
  const last = quality?.layers.at(-1);
  if (last) list.push([`error of the ${agreement ? 'logits' : 'features'}`, percent(last.error)]);
  return html`<ul class="tiles">${list.map(([what, figure]) => html`<li><b>${figure}</b>${what}</li>`)}</ul>`;
}

function facts({ source, sourceBytes, output, images, result }: PageSource): Html {
  const { architecture, output: meaning, recipe } = result.model;
  const { skipped } = result;
  const unread = skipped.length > 0 ? `, ${skipped.length} could not be read` : '';
  const calibration =
    recipe.calibration === 'synthetic'
      ? `${plural(recipe.calibrationImages, 'synthetic picture')}, seed ${recipe.seed}`
      : `${plural(recipe.calibrationImages, 'photo')} of ${formatCount(images.length)}, seed ${recipe.seed}${unread}`;
  const rows = [
    [
      'Model',
      `${shortened(architecture.name)}, ${architecture.imageSize}×${architecture.imageSize} pixels, ${architecture.classes === 0 ? 'a backbone' : `${formatCount(architecture.classes)} classes`}`,
    ],
    ...(architecture.classes === 0 ? [] : [['Logits', MEANINGS[meaning]] as const]),
    ['Method', describeMethod(recipe)],
    ['Calibration', calibration],
    ['Float', `${shortened(source)}, ${formatBytes(sourceBytes)}`],
    ['Float SHA-256', recipe.sourceSha256],
    ['Integer', `${shortened(output)}, ${formatBytes(result.bytes.length)}`],
    ...result.warnings.map((warning) => ['Guessed', warning] as const),
  ] as const;
  return html`<dl>${rows.map(([term, text]) => html`<dt>${term}</dt><dd>${text}</dd>`)}</dl>`;
}

function agreementSection(quality: Quality | undefined, photos: number): Html {
  if (quality === undefined)
    return html`<h2>Agreement with the float model</h2>
<p>${photos === 0 ? 'There are no photos to compare the models on' : `No photo of ${formatCount(photos)} could be read`}, so this page has only sizes. <code>fqvit eval --reference</code> compares them on labelled photos.</p>`;
  const { agreement } = quality;
  return html`<h2>Agreement with the float model</h2>
${photosParagraph(quality)}
${agreement ? agreementTable(quality, agreement) : html`<p>A backbone has no classes to agree on. The errors below show how far its features are from those of the float model.</p>`}`;
}

function photosParagraph({ photos, available, seen, unreadable }: Quality): Html {
  const some = photos + unreadable < available ? ` (the seed chose them from ${formatCount(available)})` : '';
  const lost = unreadable > 0 ? ` ${plural(unreadable, 'photo')} could not be read.` : '';
  const count = plural(photos, 'photo');
  return seen
    ? html`<p><strong>Measured on ${count} that calibrated</strong>${some}, since there are no others in the folder. The model was fitted to them, so the figures flatter it. <code>--calibration-images N</code> leaves the other photos for this page.${lost}</p>`
    : html`<p>Measured on ${count} of the calibration folder that did not calibrate${some}.${lost}</p>`;
}

type FigureRow = [term: string, figure: string, what: string];

function agreementTable({ photos, msPerImage }: Quality, agreement: Agreement): Html {
  const rows = agreementRows(agreement, photos);
  if (msPerImage) {
    const ratio = (msPerImage.float / msPerImage.integer).toFixed(2);
    rows.push([
      'Time per image',
      `${msPerImage.integer.toPrecision(3)} ms`,
      `float ${msPerImage.float.toPrecision(3)} ms, ${ratio} times as long; one thread of the machine that made this page`,
    ]);
  }
  return html`<dl>${rows.map(([term, figure, what]) => html`<dt>${term}</dt><dd><b>${figure}</b> <span class="dim">${what}</span></dd>`)}</dl>`;
}

function agreementRows(agreement: Agreement, photos: number): FigureRow[] {
  if (agreement.output === 'value') {
    const what = "between the two models' values";
    return [
      ['Mean distance', formatValue(agreement.difference), what],
      ['Largest distance', formatValue(agreement.largest), what],
    ];
  }
  const kl = `${agreement.kl.toFixed(4)} nats`;
  if (agreement.output === 'sigmoid') {
    return [
      [
        'Same decision',
        percent(agreement.agreement),
        'of all decisions: is this class in this photo, above 50 %?',
      ],
      ['Mean KL', kl, 'KL(float ‖ integer) of a decision'],
    ];
  }
  const { same, margins, right } = agreement;
  const [low, high] = interval(same, photos);
  const rows: FigureRow[] = [
    [
      'Same class',
      percent(same / photos),
      `${formatCount(same)} of ${formatCount(photos)}; 95 % interval ${percent(low)} to ${percent(high)}`,
    ],
    ['Mean KL', kl, 'KL(float ‖ integer) of the class distributions'],
  ];
  rows.push(
    right
      ? [
          'Top-1',
          percent(right.integer / photos),
          `float ${percent(right.float / photos)}; the calibration folder tells the true classes`,
        ]
      : [
          'Top-1',
          'unknown',
          'the calibration folder has no class for each photo, in labels.csv or by subfolders named after the classes',
        ],
  );
  if (margins.same !== undefined) rows.push(['Margin, same class', percent(margins.same), MARGIN]);
  if (margins.different !== undefined)
    rows.push([
      'Margin, other class',
      percent(margins.different),
      `${MARGIN}, where the integer model names another class`,
    ]);
  return rows;
}

const MARGIN = "median distance between the float model's first and second probability";

function layerSection({ float }: PageSource, quality: Quality | undefined): Html {
  if (quality === undefined) return html``;
  const { layers, measured } = quality;
  const largest = worstLayers(layers, ({ error }) => error);
  const growing = worstLayers(
    layers.filter(({ growth }) => growth !== undefined),
    ({ growth }) => growth!,
  );
  const lastBlock =
    pooledTokens(float.architecture) > 0
      ? ' In the last block, only the first tokens are computed and compared: the head reads no others.'
      : '';
  const kinds = LAYER_KINDS.filter((kind) => layers.some((layer) => layer.kind === kind));
  return html`<h2>Error of every layer</h2>
<p>‖integer − float‖ / ‖float‖ of every activation, over ${plural(measured, 'photo')}. Both models run freely, so errors add up from left to right; the line follows the residual stream.${lastBlock}</p>
<ul id="kinds">${kinds.map((kind) => html`<li data-kind="${kind}">${KIND_NAMES[kind]}</li>`)}</ul>
<div id="plot" tabindex="0" role="group" aria-label="Error of every layer, in order of execution. Arrow keys go from layer to layer; the table below has the same figures." hidden><output hidden></output></div>
<noscript><p class="dim">The plot needs JavaScript; the tables have its figures.</p></noscript>
<h3>Largest errors</h3>
${layerTable(largest, 'Largest errors')}
<h3>Layers that add most error</h3>
<p class="dim">Sorted by their error divided by the largest error of their inputs.</p>
${layerTable(growing, 'Layers that add most error')}
<details>
<summary>All ${formatCount(layers.length)} layers, in order of execution</summary>
${layerTable(layers, 'All layers', 'layers')}
</details>`;
}

function layerTable(layers: readonly LayerError[], label: string, id = ''): Html {
  const head = ['layer', 'error', '× input', 'SQNR dB', 'kind', 'bits', 'scale', 'zero point'];
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${label}"><table class="layers"${id ? html` id="${id}"` : ''}>
<thead><tr>${head.map((text) => html`<th scope="col">${text}</th>`)}</tr></thead>
<tbody>
${layers.map(layerRow)}</tbody></table></div>`;
}

function layerRow({
  name,
  kind,
  block,
  error,
  growth,
  bits,
  scale,
  zeroPoint,
  perChannel,
}: LayerError): Html {
  const scaleText =
    scale === undefined ? 'log' : `${scale.toPrecision(3)}${perChannel ? ', by channel' : ''}`;
  const isExact = error < EXACT;
  const cells = [
    isExact ? 'exact' : percent(error),
    growth === undefined ? '' : growth.toFixed(2),
    isExact ? '' : (-20 * Math.log10(error)).toFixed(1),
  ];
  return html`<tr data-kind="${kind}" data-block="${block ?? ''}" data-error="${isExact ? 0 : error.toPrecision(4)}"><td class="name">${name}</td>${cells.map((cell) => html`<td>${cell}</td>`)}<td class="kind ${kind}">${KIND_NAMES[kind]}</td><td>${bits}</td><td>${scaleText}</td><td>${zeroPoint ?? ''}</td></tr>
`;
}

/** The ten layers with the largest figure, largest first. */
export function worstLayers(layers: readonly LayerError[], by: (layer: LayerError) => number): LayerError[] {
  return [...layers].sort((a, b) => by(b) - by(a)).slice(0, WORST);
}

interface ConfusedPair {
  readonly float: number;
  readonly integer: number;
  readonly photos: readonly ChangedAnswer[];
}

function differencesSection({ result }: PageSource, quality: Quality | undefined): Html {
  const { agreement } = quality ?? {};
  if (agreement?.output !== 'softmax' || agreement.differences.length === 0) return html``;
  const { differences } = agreement;
  const pairs = pairsOf(differences);
  const shown = pairs.slice(0, PAIRS_SHOWN);
  const label = (index: number) => shortened(result.model.labels[index]!);
  const rest = pairs.length - shown.length;
  return html`<h2>Confused classes</h2>
<p>The float model names the first class, the integer model the second. Each probability is the model's own, for the class that it names.</p>
<ul class="pairs">
${shown.map(
  ({
    float,
    integer,
    photos,
  }) => html`<li><strong>${label(float)}</strong> → <strong>${label(integer)}</strong> <span class="dim count">${plural(photos.length, 'photo')}</span>
${photos.slice(0, PHOTOS_SHOWN).map(photoFigure)}</li>
`,
)}</ul>
${rest > 0 ? html`<p class="dim">And ${plural(rest, 'pair')} more.</p>` : ''}`;
}

/** The most frequent first, then by class. */
function pairsOf(differences: readonly ChangedAnswer[]): ConfusedPair[] {
  const pairs = new Map<string, ChangedAnswer[]>();
  for (const difference of differences) {
    const key = `${difference.float.index} ${difference.integer.index}`;
    pairs.set(key, [...(pairs.get(key) ?? []), difference]);
  }
  return [...pairs.values()]
    .map((photos) => ({ float: photos[0]!.float.index, integer: photos[0]!.integer.index, photos }))
    .sort((a, b) => b.photos.length - a.photos.length || a.float - b.float || a.integer - b.integer);
}

function photoFigure({ photo, thumbnail, float, integer }: ChangedAnswer): Html {
  const name = shortened(photo);
  const sure = ({ probability }: Choice) => `${(100 * probability).toFixed(0)} %`;
  return html`<figure><img src="${thumbnail}" alt="" width="96" height="96"><figcaption>${name}<br>float ${sure(float)}, integer ${sure(integer)}</figcaption></figure>`;
}

function sizeSection({ float, result, sourceBytes }: PageSource): Html {
  const total = result.bytes.length;
  const parts = partSizes(float, result.model, total);
  const parameters = parts.reduce((sum, part) => sum + part.parameters, 0);
  const row = ({ part, parameters: count, bytes }: PartSize) =>
    html`<tr><td>${part}</td><td>${formatCount(count)}</td><td>${formatBytes(bytes)}</td><td>${percent(bytes / total)}</td><td class="bar"><progress max="${total}" value="${bytes}" aria-hidden="true"></progress></td></tr>
`;
  return html`<h2>Sizes</h2>
<p>The float file takes ${formatBytes(sourceBytes)}, the integer file ${formatBytes(total)}: ${(sourceBytes / total).toFixed(1)} times smaller.</p>
<div class="scroll" tabindex="0" role="region" aria-label="Sizes"><table>
<thead><tr><th scope="col">part</th><th scope="col">parameters</th><th scope="col">integer</th><th scope="col">share</th><th scope="col" class="bar"></th></tr></thead>
<tbody>
${parts.map(row)}${row({ part: 'all', parameters, bytes: total })}</tbody></table></div>`;
}

/** Three digits, or 100. */
function percent(part: number): string {
  const value = 100 * part;
  if (value >= 99.95 || value === 0) return `${value.toFixed(0)} %`;
  return `${value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toPrecision(2)} %`;
}

function shortened(text: string): string {
  // a character has one or two code units
  const characters = [...text.slice(0, 2 * TEXT_SHOWN + 2)];
  return characters.length > TEXT_SHOWN ? `${characters.slice(0, TEXT_SHOWN - 1).join('')}…` : text;
}
