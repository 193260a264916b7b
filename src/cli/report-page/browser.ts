/** Runs in the page: plots the errors of all layers, from their table, with the global uPlot. */

import type UPlot from 'uplot';

declare const uPlot: typeof UPlot;

interface ChartLayer {
  readonly name: string;
  readonly kind: string;
  /** Its residual block, or nothing. */
  readonly block: string;
  readonly error: number;
  /** The text of the row, on several lines. */
  readonly words: string;
}

const HEIGHT = 340;
/** Pixels between the labels of two blocks. */
const LABEL_WIDTH = 26;

const plot = document.querySelector<HTMLElement>('#plot')!;
const tip = plot.querySelector<HTMLElement>('output')!;
const dark = matchMedia('(prefers-color-scheme: dark)');

const layers = [...document.querySelectorAll<HTMLTableRowElement>('#layers tbody tr')].map(layerOf);
const kinds = [...document.querySelectorAll<HTMLElement>('#kinds li')].map((item) => ({
  kind: item.dataset.kind!,
  label: item.textContent!,
}));
const blocks = startsOfBlocks();

let chart = draw();
plot.hidden = false;
resize();
new ResizeObserver(resize).observe(plot);
dark.addEventListener('change', () => {
  chart.destroy();
  chart = draw();
});

plot.addEventListener('keydown', (event) => {
  const at = chart.cursor.idx ?? -1;
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: layers.length - 1 }[event.key];
  if (to === undefined || event.target !== plot) return;
  event.preventDefault();
  pointAt(Math.min(Math.max(to, 0), layers.length - 1));
});
plot.addEventListener('focus', () => {
  if (plot.matches(':focus-visible')) pointAt(chart.cursor.idx ?? 0);
});
plot.addEventListener('blur', () => pointAt(undefined));

function layerOf(row: HTMLTableRowElement): ChartLayer {
  const cells = [...row.cells].map((cell) => cell.textContent!);
  const [name, error, growth, sqnr, kind, bits, scale, zeroPoint] = cells;
  const words = [
    `error ${error}${sqnr ? `, SQNR ${sqnr} dB` : ''}`,
    growth ? `${growth} times that of its input` : '',
    `${kind}, ${bits} bits`,
    zeroPoint ? `scale ${scale}, zero point ${zeroPoint}` : '',
  ];
  return {
    name: name!,
    kind: row.dataset.kind!,
    block: row.dataset.block!,
    error: Number(row.dataset.error),
    words: words.filter((line) => line !== '').join('\n'),
  };
}

/** The first layer of each block, and its number: `3`, in a Swin `1.3`. */
function startsOfBlocks(): { at: number; label: string }[] {
  const starts: { at: number; label: string }[] = [];
  layers.forEach(({ block }, at) => {
    if (block === '') return;
    const label = block
      .split('.')
      .filter((part) => !Number.isNaN(Number(part)))
      .join('.');
    if (starts.at(-1)?.label !== label) starts.push({ at, label });
  });
  return starts;
}

function draw(): UPlot {
  const colour = (name: string) => getComputedStyle(plot).getPropertyValue(`--${name}`);
  const text = colour('text');
  const grid = { stroke: colour('line'), width: 1 };
  const axis = { stroke: text, grid, ticks: grid, font: '12px system-ui, sans-serif' };
  const shown = ({ width }: UPlot) => {
    const every = Math.ceil((blocks.length * LABEL_WIDTH) / width);
    return blocks.filter((_, i) => i % every === 0);
  };
  // exact layers have no place on a logarithmic axis
  const values = layers.map(({ error }) => (error > 0 && error < Infinity ? error : null));
  return new uPlot(
    {
      width: plot.clientWidth || 300,
      height: HEIGHT,
      padding: [12, 12, 0, 0],
      scales: {
        x: { time: false, range: [-1, layers.length] },
        y: { distr: 3, range: (_, low, high) => [low / 1.5, high * 1.5] },
      },
      axes: [
        {
          ...axis,
          size: 32,
          label: 'block',
          labelFont: axis.font,
          labelSize: 18,
          splits: (self) => shown(self).map(({ at }) => at),
          values: (self) => shown(self).map(({ label }) => label),
        },
        {
          ...axis,
          size: 60,
          values: (_, splits) => splits.map((split) => (split === null ? '' : percent(split))),
        },
      ],
      series: [
        {},
        ...kinds.map(({ kind, label }) => {
          const stroke = colour(kind);
          const isStream = kind === 'addition';
          return {
            label,
            stroke,
            width: isStream ? 1 : 0,
            spanGaps: true,
            ...(isStream ? {} : { paths: () => null }),
            points: { show: true, size: 7, stroke, fill: stroke },
          };
        }),
      ],
      legend: { live: false, markers: { width: 0, fill: (_, i) => colour(kinds[i - 1]!.kind) } },
      cursor: { y: false, drag: { x: false, y: false }, points: { size: 12 } },
      hooks: { setCursor: [showTip], ready: [reachLegend] },
    },
    [
      layers.map((_, i) => i),
      ...kinds.map(({ kind }) => values.map((value, i) => (layers[i]!.kind === kind ? value : null))),
    ],
    plot,
  );
}

/** Shows the tip next to the chosen point, at the foot of the plot, where few points are. */
function showTip({ cursor: { idx, left = -1 }, over }: UPlot): void {
  const layer = left < 0 || idx == null ? undefined : layers[idx];
  tip.hidden = layer === undefined;
  if (layer === undefined) return;
  const name = document.createElement('b');
  name.textContent = layer.name;
  tip.replaceChildren(name, `\n${layer.words}`);
  const start = over.offsetLeft + left;
  const beside = start + 14 + tip.offsetWidth <= plot.clientWidth ? start + 14 : start - 14 - tip.offsetWidth;
  tip.style.left = `${Math.max(beside, 0)}px`;
  tip.style.top = `${over.offsetTop + over.offsetHeight - tip.offsetHeight - 8}px`;
}

function pointAt(index: number | undefined): void {
  const left = index === undefined ? -10 : chart.valToPos(index, 'x');
  chart.setCursor({ left, top: index === undefined ? -10 : 10 });
}

/** Makes the legend work from the keyboard; uPlot only handles clicks. */
function reachLegend({ root }: UPlot): void {
  for (const head of root.querySelectorAll<HTMLElement>('.u-series th')) {
    head.tabIndex = 0;
    head.setAttribute('role', 'button');
    head.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      head.click();
    });
  }
}

function resize(): void {
  chart.setSize({ width: plot.clientWidth, height: HEIGHT });
}

function percent(value: number): string {
  return `${Number((100 * value).toPrecision(2))} %`;
}
