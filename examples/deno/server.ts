// deno run --allow-net --allow-read --allow-env --allow-sys server.ts [PORT]
import { createPool } from 'fqvit/pool';
import { createApp } from 'fqvit/serve';

const pool = await createPool('deit_cifar10');
const app = createApp(async () => pool, { parallel: pool.info.workers });
Deno.serve({ hostname: '127.0.0.1', port: Number(Deno.args[0] ?? 8787) }, app.fetch);
