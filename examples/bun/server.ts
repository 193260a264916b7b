// bun server.ts [PORT]
import { createPool } from 'fqvit/pool';
import { createApp } from 'fqvit/serve';

const pool = await createPool('deit_cifar10');
const app = createApp(async () => pool, { parallel: pool.info.workers });
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: Number(process.argv[2] ?? 8787),
  development: false, // no error pages
  fetch: app.fetch,
});
console.log(`Listening on ${server.url}`);
