import type { LayerError } from '../../quantize/layer-errors.js';
import { writeOutput } from '../output-file.js';
import { warn } from '../report.js';
import { readAssets } from './assets.js';
import { type PageSource, renderPage, worstLayers } from './page.js';
import { measureQuality, type Quality } from './quality.js';

/** The figures of the page for the summary: none without photos, no agreement of a backbone. */
export interface ReportSummary {
  readonly photos?: number;
  /** The photos have calibrated too. */
  readonly seen?: boolean;
  /** Percent of the photos. */
  readonly agreement?: number;
  readonly kl?: number;
  readonly worst?: readonly Pick<LayerError, 'name' | 'error' | 'growth'>[];
}

/**
 * Measures a checkpoint that has been written, and writes the page about it.
 *
 * @param path as `checkOutput` gave it
 */
export async function writeReport(
  path: string,
  source: PageSource,
  options: { force: boolean },
): Promise<ReportSummary> {
  try {
    const assets = await readAssets();
    const quality = source.images.length > 0 ? await measureQuality(source) : undefined;
    writeOutput(path, new TextEncoder().encode(renderPage(source, quality, assets)), options);
    return quality === undefined ? {} : summaryOf(quality);
  } catch (cause) {
    warn(`${source.output} is written and whole, but the report is not:`);
    throw cause;
  }
}

function summaryOf({ photos, seen, agreement, layers }: Quality): ReportSummary {
  return {
    photos,
    seen,
    ...(agreement ? { agreement: (100 * agreement.same) / photos, kl: agreement.kl } : {}),
    worst: worstLayers(layers, ({ error }) => error).map(({ name, error, growth }) => ({
      name,
      error,
      ...(growth === undefined ? {} : { growth }),
    })),
  };
}
