import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { STYLE } from './style.js';

/** Style and scripts of the page. */
export interface Assets {
  readonly style: string;
  /** uPlot, which defines a global. */
  readonly plotter: string;
  /** The module that draws the plot. */
  readonly script: string;
}

/** Reads uPlot, with its licence, and the built browser.ts. */
export async function readAssets(): Promise<Assets> {
  const require = createRequire(import.meta.url);
  const uplot = (file: string) => readFile(require.resolve(`uplot/${file}`), 'utf8');
  const [plotter, style, licence] = await Promise.all([
    uplot('dist/uPlot.iife.min.js'),
    uplot('dist/uPlot.min.css'),
    uplot('LICENSE'),
  ]);
  return {
    style: `${style}\n${STYLE}`,
    plotter: `/*\nuPlot\n${licence}\n*/\n${plotter}`,
    script: await readFile(new URL('./browser.js', import.meta.url), 'utf8'),
  };
}
