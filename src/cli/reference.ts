import type { ModelInfo } from '../model/model.js';
import type { FloatModel } from '../quantize/index.js';
import { readFloatSource } from './float-source.js';
import { warn } from './report.js';

/** The float model, with the preprocessing of the integer one: both read the same pixels. */
export async function readReference(
  source: string,
  weights: string | undefined,
  info: Pick<ModelInfo, 'architecture' | 'preprocessing' | 'output' | 'recipe'>,
): Promise<FloatModel> {
  const { readFloatModel, sourceSha256 } = await import('../quantize/index.js');
  const { bytes, path, options } = await readFloatSource(source);
  const { mean, std } = info.preprocessing;
  const { architecture: a } = info;
  const isMean = a.family !== 'swin' && a.pool?.startsWith('mean');
  const told = {
    architecture: a.family,
    activation: a.gelu ?? 'exact',
    // the tensors of the family do not show these
    ...(a.family === 'swin' ? { image_size: a.imageSize } : { num_heads: a.heads }),
    ...(isMean ? { global_pool: 'avg' } : {}),
    output: info.output,
  };
  const config = { ...(options.config as object | undefined), ...told };
  const { externalFiles } = options;
  const isSource = (await sourceSha256(bytes, externalFiles)) === info.recipe.sourceSha256;
  if (!isSource) {
    warn(`${path} is not the file that the integer checkpoint was made from (its SHA-256 differs)`);
  }
  const reference = readFloatModel(bytes, {
    ...{ file: path, externalFiles, config, mean, std },
    weights: weights ?? (isSource ? info.recipe.weights : undefined),
  });
  for (const warning of reference.warnings) warn(warning);
  return reference;
}
