import { writeOutput } from '../../platform/output-file.js';
import type { LayerError } from '../../quantize/layer-errors.js';
import { warn } from '../report.js';
import { readAssets } from './assets.js';
import { type PageSource, renderPage, worstLayers } from './page.js';
import { type Agreement, type Both, measureQuality, type Quality } from './quality.js';

/**
 * Figures of the page for the summary. Without photos there are none; a backbone has no agreement.
 */
export interface ReportSummary {
  readonly photos?: number;
  /** Whether the photos were also used for calibration. */
  readonly seen?: boolean;
  /** Percent of the photos with the same class; for multi-label, of equal decisions. */
  readonly agreement?: number;
  readonly kl?: number;
  /** Top-1 in percent, if the calibration folder tells the true classes. */
  readonly top1?: Both;
  readonly msPerImage?: Both;
  /** For a regression model: mean distance between the values of the models. */
  readonly difference?: number;
  readonly worst?: readonly Pick<LayerError, 'name' | 'error' | 'growth'>[];
}

/**
 * Measures a written checkpoint, and writes the page about it.
 *
 * @param path as `checkOutput` returned it
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
    warn(`${source.output} is complete, but the report is not:`);
    throw cause;
  }
}

function agreementFigures(
  agreement: Agreement,
  photos: number,
): Pick<ReportSummary, 'agreement' | 'kl' | 'difference' | 'top1'> {
  if (agreement.output === 'value') return { difference: agreement.difference };
  const share = agreement.output === 'softmax' ? agreement.same / photos : agreement.agreement;
  const right = agreement.output === 'softmax' ? agreement.right : undefined;
  const percent = (count: number) => (100 * count) / photos;
  return {
    agreement: 100 * share,
    kl: agreement.kl,
    ...(right ? { top1: { integer: percent(right.integer), float: percent(right.float) } } : {}),
  };
}

function summaryOf({ photos, seen, agreement, msPerImage, layers }: Quality): ReportSummary {
  return {
    photos,
    seen,
    ...(agreement ? agreementFigures(agreement, photos) : {}),
    ...(msPerImage ? { msPerImage } : {}),
    worst: worstLayers(layers, ({ error }) => error).map(({ name, error, growth }) => ({
      name,
      error,
      ...(growth === undefined ? {} : { growth }),
    })),
  };
}
