// bun server.ts [PORT]
import { createHandler } from '../handler.js';

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2] ?? 8787),
  development: false, // no page about errors
  fetch: createHandler('deit_cifar10'),
});
console.log(`Listening on ${server.url}`);
