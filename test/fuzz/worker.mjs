import { register } from 'node:module';

process.setSourceMapsEnabled(true);
register('./typescript.mjs', import.meta.url);
await import('./worker.ts');
