/** What isolates and their bundlers make of a static import. */
declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
