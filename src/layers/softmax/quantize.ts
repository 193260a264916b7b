import type { QuantizeContext, QuantizedLayer } from '../quantize-kind.js';
import { clamp } from '../round.js';
import { exactExponentialTable, exponentialTable } from './exponential-table.js';
import type { IntegerSoftmax } from './integer.js';
import type { SoftmaxLayer } from './layer.js';

export function quantizeSoftmax(
  layer: SoftmaxLayer,
  context: QuantizeContext,
): QuantizedLayer<IntegerSoftmax> {
  const { scale: scoreScale } = context.quantizer(layer.reads[0]!);
  const { attention: codes } = context.recipe;
  const { columns } = context.shape(layer.name);
  const table = (codes === 'log2' ? exponentialTable : exactExponentialTable)(scoreScale, columns);
  return { attributes: { codes, ...parameters(layer, scoreScale, context) }, tensors: { table } };
}

function parameters({ name }: SoftmaxLayer, scoreScale: number, context: QuantizeContext) {
  switch (context.recipe.attention) {
    case 'log2':
      return {};
    case 'eighths':
      return { slope: clamp(Math.round(2048 * Math.LOG2E * scoreScale), 1, 2 ** 15 - 1) };
    case 'uniform': {
      const { scale } = context.quantizer(name);
      return { levels: Math.min(Math.max(Math.round(4096 / scale), 1), 2 ** 30 - 1), scale };
    }
  }
}
