import { load } from 'fqvit';
import model from 'fqvit/models/deit_cifar10.safetensors';
import { createApp } from 'fqvit/serve';

// an isolate has 128 MB; decoding a JPEG of 8 megapixels takes 90
export default createApp(() => load(model), { maxBytes: 8 * 2 ** 20, maxPixels: 8e6, queue: 8 });
