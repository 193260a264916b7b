// `npm run fuzz -- TARGET [OPTIONS]`: see docs/fuzzing.md.
import { register } from 'node:module';

register('./typescript.mjs', import.meta.url);
const { main } = await import('./main.ts');
process.exitCode = await main(process.argv.slice(2));
