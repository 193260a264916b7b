/** Evaluates a graph to the expression of its output. */

import { CheckpointError } from '../../errors.js';
import { quote } from '../../text/quote.js';
import type { NodeCall, Operator } from './call.js';
import { CONSTANT_OPERATORS } from './constant-operators.js';
import type { KnownTensor, View } from './expression.js';
import { LAYER_OPERATORS } from './layer-operators.js';
import { LAYOUT_OPERATORS } from './layout-operators.js';
import { elements, isConstant, type Layouts, wholeView } from './view.js';
import { isStandard, type OnnxGraph, type OnnxNode, type OnnxTensor, refuseNode } from './wire.js';

/** The inputs of an evaluation. */
interface NodeEvaluation {
  readonly graph: OnnxGraph;
  readonly file: string;
  /** The name of the image input, and its shape, with a batch of 1. */
  readonly image: string;
  readonly shape: readonly number[];
  readonly output: string;
  readonly stored: (tensor: OnnxTensor) => View<KnownTensor>;
  readonly layouts: Layouts;
}

/**
 * Returns an expression of how an output of the graph is computed. Evaluates only the nodes that
 * the output depends on, in the order of the data flow instead of the file.
 *
 * @throws CheckpointError `CHECKPOINT_GRAPH` for an invalid graph: cycles, values with no source or
 *   two, incompatible shapes; `CHECKPOINT_NETWORK` for operations that no vision transformer has
 */
export function evaluate(evaluation: NodeEvaluation): View {
  const { graph, file, image, shape, output, layouts, stored } = evaluation;
  const producers = producersOf(graph, image, file);
  const values = new Map<string, View>([[image, imageView(image, shape, file)]]);
  const started = new Set<OnnxNode>();
  const pending: string[] = [output];
  for (let name = pending.at(-1); name !== undefined; name = pending.at(-1)) {
    const producer = producers.get(name);
    if (values.has(name)) {
      pending.pop();
      continue;
    }
    if (!producer) {
      throw new CheckpointError(
        'CHECKPOINT_GRAPH',
        `${file}: expected a node or tensor that produces ${quote(name)}, found none`,
      );
    }
    if (!('op' in producer)) {
      values.set(name, stored(producer));
      continue;
    }
    const missing = producer.inputs.filter((value) => value !== '' && !values.has(value));
    if (missing.length > 0) {
      if (started.has(producer))
        refuseNode(
          producer,
          `expected no cycle, found one through ${quote(missing[0]!)}`,
          'CHECKPOINT_GRAPH',
        );
      started.add(producer);
      pending.push(...missing);
      continue;
    }
    const inputs = producer.inputs.map((value) => values.get(value));
    const results = operatorOf(
      producer,
      inputs,
    )({ node: producer, opset: graph.opset, inputs, layouts, stored });
    for (const [i, result] of results.entries()) {
      const value = producer.outputs[i];
      if (value) values.set(value, result);
    }
    if (!values.has(name))
      refuseNode(producer, `expected only its first outputs to be used, found a use of ${quote(name)}`);
  }
  return values.get(output)!;
}

function imageView(name: string, shape: readonly number[], file: string): View {
  const node: OnnxNode = {
    file,
    name,
    op: 'input',
    domain: '',
    inputs: [],
    outputs: [name],
    attributes: new Map(),
  };
  return wholeView({ kind: 'image', node, shape, size: elements(shape) }, shape);
}

/** The node or tensor that produces each value. */
function producersOf(graph: OnnxGraph, image: string, file: string): Map<string, OnnxNode | OnnxTensor> {
  const producers = new Map<string, OnnxNode | OnnxTensor>();
  const give = (name: string, producer: OnnxNode | OnnxTensor) => {
    if (producers.has(name) || name === image) {
      throw new CheckpointError(
        'CHECKPOINT_GRAPH',
        `${file}: expected one node or tensor that produces ${quote(name)}, found two`,
      );
    }
    producers.set(name, producer);
  };
  for (const tensor of graph.initialisers) give(tensor.name, tensor);
  for (const node of graph.nodes) for (const name of node.outputs) if (name !== '') give(name, node);
  return producers;
}

function operatorOf(node: OnnxNode, inputs: NodeCall['inputs']): Operator {
  const { op, domain } = node;
  const own = (table: Readonly<Record<string, Operator>>) =>
    Object.hasOwn(table, op) ? table[op] : undefined;
  const constant = inputs.every((view) => !view || isConstant(view));
  const operator = isStandard(domain)
    ? (own(LAYOUT_OPERATORS) ?? own(constant ? CONSTANT_OPERATORS : LAYER_OPERATORS))
    : undefined;
  if (operator) return operator;
  const place = isStandard(domain) ? '' : ` of the domain ${quote(domain)}`;
  return refuseNode(
    node,
    `expected an operator of a ViT, DeiT or Swin, found ${quote(op)}${place}${constant ? ' on constants' : ''}`,
  );
}
