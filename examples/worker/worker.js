import model from 'fqvit/models/deit_cifar10.safetensors';
import { createHandler } from '../handler.js';

export default { fetch: createHandler(model) };
