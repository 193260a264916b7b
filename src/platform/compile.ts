import { shownSource } from './address.js';

/** A WebAssembly module: compiled, as bytes, or as a Response, which is compiled as it arrives. */
export type WasmBinary = WebAssembly.Module | BufferSource | Response;

export async function compile(wasm: WasmBinary): Promise<WebAssembly.Module> {
  if (wasm instanceof WebAssembly.Module) return wasm;
  const isBytes = wasm instanceof ArrayBuffer || ArrayBuffer.isView(wasm);
  // last, because naming Response loads all of Node's fetch
  if (isBytes || !(wasm instanceof Response)) return WebAssembly.compile(wasm as BufferSource);
  return compileAnswer(wasm);
}

async function compileAnswer(answer: Response): Promise<WebAssembly.Module> {
  if (!answer.ok) {
    answer.body?.cancel().catch(() => {});
    throw new Error(`status ${answer.status} of ${shownSource(answer.url)}`);
  }
  // engines compile a stream only if its content type is application/wasm
  const isNamed = /^application\/wasm\b/.test(answer.headers.get('content-type') ?? '');
  if (isNamed && typeof WebAssembly.compileStreaming === 'function')
    return WebAssembly.compileStreaming(answer);
  return WebAssembly.compile(await answer.arrayBuffer());
}
