// A page for a bundler. It needs decoders, the probe for narrow weights, and a worker.
import { load } from 'fqvit';

const raw = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 40, 50, 60) };
try {
  const model = await load('/package/models/deit_cifar10.safetensors');
  const narrow = await load('/more/narrow.safetensors', { threads: 2 });
  const result = {
    label: (await model.classify('/fixtures/420.jpg'))[0].label,
    codes: [
      await model.codes('/fixtures/420.jpg'),
      await model.codes('/fixtures/lossy.webp'),
      await narrow.codes(raw),
    ].map(String),
    threads: narrow.info.threads,
  };
  await fetch('/result', { method: 'POST', body: JSON.stringify(result) });
} catch (error) {
  await fetch('/result', { method: 'POST', body: JSON.stringify({ error: String(error.stack) }) });
}
