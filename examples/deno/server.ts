// deno run --allow-net --allow-read --allow-env server.ts [PORT]
import { createHandler } from '../handler.js';

Deno.serve({ hostname: '127.0.0.1', port: Number(Deno.args[0] ?? 8787) }, createHandler('deit_cifar10'));
