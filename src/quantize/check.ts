import type { FloatModel } from '../checkpoint/float/model.js';
import { checkPreprocessing } from '../checkpoint/integer/description.js';
import { traceProgram } from '../checkpoint/integer/program.js';
import { CheckpointError } from '../errors.js';
import { Checked } from '../layers/checked.js';
import type { IntegerLayer } from '../layers/integer-kinds.js';
import type { Layer } from '../layers/layer.js';
import { networkOf } from '../networks/index.js';

/**
 * Checks that the integer model of a float one will load, so that one that is not supported fails
 * before calibration instead of after it.
 *
 * @throws CheckpointError `MODEL_DESCRIPTION`
 */
export function checkQuantizable(
  { architecture, preprocessing }: Pick<FloatModel, 'architecture' | 'preprocessing'>,
  file: string,
): void {
  checkPreprocessing(new Checked(preprocessing, file, 'model.preprocessing'));
  const { layers, imageSize } = networkOf(architecture, true);
  traceProgram(layers.map(withAnyScale), imageSize, (layer, message) => {
    const place = layer === undefined ? 'model' : `model: ${layer.name}`;
    throw new CheckpointError('MODEL_DESCRIPTION', `${file}: ${place}: ${message}`);
  });
}

/** An integer layer with the shape and the work of a layer. */
function withAnyScale({ factors: _, ...layer }: Layer): IntegerLayer {
  return { weightBits: 8, codes: 'log2', scale: 1, zeroPoint: 0, ...layer } as unknown as IntegerLayer;
}
