/**
 * Counts the opcodes of a built kernel module, in its text and as they run: work without a clock.
 */
import binaryen from 'binaryen';
import type { WasmName } from '../../src/runtime/wasm-node.js';
import { readModule } from '../support/tiers.js';

/** Opcodes without cost: engines keep these values in registers, or they only mark a block. */
const FREE = /^(local\.|drop$|block$|loop$|else$|end$|.*\.const$)/;
/** Opcodes that may jump: everything before one runs if it does. */
const EDGE = /^(block|loop|if|else|end|br|br_if|br_table|return|call|unreachable)$/;

/** The lines of the functions, one instruction each, and those of the rest of the module. */
function linesOf(name: WasmName): string[] {
  const module = binaryen.readBinary(readModule(name));
  module.setFeatures(binaryen.Features.All);
  const text = module.emitStackIR();
  module.dispose();
  return text.split('\n');
}

const opcodeOf = (line: string) => line.trim().split(' ')[0]!;
const isInstruction = (opcode: string) => /^[a-z]/.test(opcode);

/** The opcodes with a cost in each innermost loop. */
export function innermostLoops(name: WasmName): string[][] {
  const loops: string[][] = [];
  const open: { isLoop: boolean; opcodes: string[] }[] = [];
  for (const opcode of linesOf(name).map(opcodeOf)) {
    if (!FREE.test(opcode) && isInstruction(opcode)) for (const { opcodes } of open) opcodes.push(opcode);
    if (/^(block|loop|if)$/.test(opcode)) {
      if (opcode === 'loop') for (const outer of open) outer.isLoop = false;
      open.push({ isLoop: opcode === 'loop', opcodes: [] });
    }
    if (opcode !== 'end') continue;
    const { isLoop, opcodes } = open.pop()!;
    if (isLoop) loops.push(opcodes);
  }
  return loops;
}

/** The module with a global `work`, which counts every opcode with a cost as it runs. */
function metered(name: WasmName): Uint8Array<ArrayBuffer> {
  const out: string[] = [];
  let work = 0;
  const count = () => {
    if (work > 0) out.push(`global.get $work i64.const ${work} i64.add global.set $work`);
    work = 0;
  };
  for (const line of linesOf(name)) {
    const opcode = opcodeOf(line);
    if (isInstruction(opcode) && !FREE.test(opcode)) work++;
    if (EDGE.test(opcode) || opcode === ')') count();
    out.push(line);
  }
  const end = out.lastIndexOf(')');
  out.splice(end, 0, '(global $work (mut i64) (i64.const 0))', '(export "work" (global $work))');
  const module = binaryen.parseText(out.join('\n'));
  module.setFeatures(binaryen.Features.All);
  const binary = new Uint8Array(module.emitBinary());
  module.dispose();
  return binary;
}

/** The metered modules so far. */
const modules = new Map<WasmName, WebAssembly.Module>();

function meteredModule(name: WasmName): WebAssembly.Module {
  const module = modules.get(name) ?? new WebAssembly.Module(metered(name));
  modules.set(name, module);
  return module;
}

/** A metered module with its own memory. */
export class Meter<Kernels> {
  readonly #memory = new WebAssembly.Memory({ initial: 64 });
  readonly #exports: WebAssembly.Exports;
  #end = 1024;

  constructor(name: WasmName) {
    this.#exports = new WebAssembly.Instance(meteredModule(name), { env: { memory: this.#memory } }).exports;
  }

  /** The address of this many zero bytes. */
  room(bytes: number): number {
    const address = this.#end;
    this.#end += Math.ceil((bytes + 64) / 16) * 16;
    if (this.#end > this.#memory.buffer.byteLength) throw new RangeError('the meter has no more memory');
    return address;
  }

  put(values: ArrayBufferView): number {
    const address = this.room(values.byteLength);
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    new Uint8Array(this.#memory.buffer).set(bytes, address);
    return address;
  }

  /** The number of opcodes that run. */
  opcodes(call: (kernels: Kernels) => void): number {
    const work = this.#exports.work as WebAssembly.Global;
    work.value = 0n;
    call(this.#exports as unknown as Kernels);
    return Number(work.value);
  }
}
