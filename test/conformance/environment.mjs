// The Python that makes models: pinned, in .conformance/, or what FQVIT_CONFORMANCE_PYTHON names.
export function environment(library) {
  const overlay = library.endsWith('-4') ? process.env.FQVIT_CONFORMANCE_TRANSFORMERS_4 : undefined;
  const path = [overlay, process.env.PYTHONPATH].filter(Boolean).join(':');
  return { command: process.env.FQVIT_CONFORMANCE_PYTHON ?? 'python3', env: { PYTHONPATH: path } };
}
