import type { Output } from '../architecture/output.js';
import type { Prediction } from '../model/predict.js';
import { predictions } from '../model/predict.js';
import { sigmoids } from '../model/rank.js';
import { escapeJsonControls } from '../text/escape-controls.js';
import type { LabelledFile } from './labels-csv.js';

/** A photo, its truth and the answers, as `--rows` writes them. */
interface EvaluatedRow {
  readonly file: string;
  /** The true class, all true classes of a multi-label model, or the true value of a regression. */
  readonly truth: number | readonly number[];
  readonly integer: Predicted;
  /** The answer of the float model. */
  readonly reference?: Predicted;
}

/** The likeliest class; for multi-label, the classes above 50 %; for a regression, the value. */
type Predicted = Prediction | readonly Prediction[];

/** Photos of one class for which the model predicts the same or another class. */
export interface Confusion {
  readonly class: number;
  readonly predicted: number;
  readonly images: number;
}

interface RowModel {
  readonly labels: readonly string[];
  readonly output: Output;
}

/** Keeps the answers of `fqvit eval` for each photo. */
export class EvalRows {
  readonly #rows: EvaluatedRow[] = [];

  constructor(
    private readonly photos: readonly Pick<LabelledFile, 'file' | 'class' | 'value'>[],
    private readonly model: RowModel,
  ) {}

  /** Adds the next photo. */
  add(logits: Float32Array, reference: Float32Array | undefined): void {
    const { file, class: classes, value } = this.photos[this.#rows.length]!;
    this.#rows.push({
      file,
      truth: this.model.output === 'value' ? value! : classes!,
      integer: this.#answer(logits),
      ...(reference ? { reference: this.#answer(reference) } : {}),
    });
  }

  /** One JSON document per line. */
  lines(): Uint8Array {
    return new TextEncoder().encode(
      this.#rows.map((row) => `${escapeJsonControls(JSON.stringify(row))}\n`).join(''),
    );
  }

  /** The confusion matrix of a single-label model: its entries above 0, the largest first. */
  confusion(): Confusion[] {
    const counts = new Map<string, Confusion>();
    for (const { truth, integer } of this.#rows) {
      const { index: predicted } = integer as Prediction;
      const key = `${truth} ${predicted}`;
      const images = (counts.get(key)?.images ?? 0) + 1;
      counts.set(key, { class: truth as number, predicted, images });
    }
    return [...counts.values()].sort(
      (a, b) => b.images - a.images || a.class - b.class || a.predicted - b.predicted,
    );
  }

  #answer(logits: Float32Array): Predicted {
    const { output } = this.model;
    if (output !== 'sigmoid') return predictions(logits, this.model, 1)[0]!;
    const above = sigmoids(logits).filter((probability) => probability > 0.5).length;
    return above === 0 ? [] : predictions(logits, this.model, above);
  }
}
