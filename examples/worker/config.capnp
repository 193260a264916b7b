using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .worker)],
  sockets = [(name = "http", address = "127.0.0.1:8787", http = (), service = "main")],
);

const worker :Workerd.Worker = (
  compatibilityDate = "2026-01-01",
  modules = [
    (name = "worker.mjs", esModule = embed "dist/worker.mjs"),
    (name = "deit_cifar10.safetensors", data = embed "dist/deit_cifar10.safetensors"),
    (name = "fqvit.probe.wasm", wasm = embed "dist/fqvit.probe.wasm"),
    (name = "fqvit.relaxed.wasm", wasm = embed "dist/fqvit.relaxed.wasm"),
    (name = "fqvit.scalar.wasm", wasm = embed "dist/fqvit.scalar.wasm"),
    (name = "fqvit.simd.wasm", wasm = embed "dist/fqvit.simd.wasm"),
    (name = "jpeg.wasm", wasm = embed "dist/jpeg.wasm"),
    (name = "webp.wasm", wasm = embed "dist/webp.wasm"),
  ],
);
