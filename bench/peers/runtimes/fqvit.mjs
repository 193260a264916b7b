// The integer model, through the package's public entry.
import { load } from '../../../dist/index.js';

export async function create(file, { threads, tier }) {
  const model = await load(file, { ...(tier ? { tier } : {}), ...(threads > 1 ? { threads } : {}) });
  return {
    version: 'this checkout',
    tier: model.info.tier,
    prepare: (pixels) => pixels,
    run: (pixels) => model.codesOfPixels(pixels),
  };
}
