// One contender of `fqvit bench` in this process. The argument says which, as JSON; prints one JSON
// document.
import { readFileSync } from 'node:fs';
import { floatOfInteger, type IntegerContender, openFloat, openInteger } from '../bench/contender.js';
import { measure, type Rule } from '../bench/measure.js';
import { readIntegerModel } from '../checkpoint/integer-model.js';
import type { FloatModel } from '../quantize/index.js';
import { readReference } from './reference.js';

/** The float model of an integer checkpoint's architecture. */
export interface FloatContender {
  readonly kind: 'float';
  /** The integer checkpoint. */
  readonly file: string;
  /** The float checkpoint. Without it, weights are generated. */
  readonly reference?: string | undefined;
  readonly weights?: string | undefined;
}

export type Contender = IntegerContender | FloatContender;

async function floatModel({ file, reference, weights }: FloatContender): Promise<FloatModel> {
  if (reference === undefined) return floatOfInteger(file);
  return readReference(reference, weights, readIntegerModel(new Uint8Array(readFileSync(file)), { file }));
}

const { rule, ...contender } = JSON.parse(process.argv[2]!) as Contender & { rule: Rule };
const open = async () =>
  contender.kind === 'integer' ? openInteger(contender) : openFloat(await floatModel(contender));
process.stdout.write(JSON.stringify(await measure(open, rule)));
process.exit(0); // threads would keep the process alive
