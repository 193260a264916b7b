import { HubError } from '../errors.js';
import { quantizeCommand } from '../text/quantize-command.js';
import { type HubId, type HubSource, hubAddress } from './id.js';
import { listFew, openRepository, type RepositoryOptions } from './repository.js';

/**
 * Downloads an integer checkpoint, unless it is in the cache: the named file, or the only
 * `.safetensors` file of the model.
 *
 * @returns its path, and, for a cached copy, the reason why the hub did not answer
 * @throws HubError those of `openRepository` and its `fetch`; `HUB_NOT_FOUND` if there is no such
 *   file, `HUB_SEVERAL` if there is more than one; the reason of `signal`
 */
export async function fetchModelFile(
  { name, revision, file }: HubSource,
  options: RepositoryOptions,
): Promise<{ path: string; away: HubError | undefined }> {
  const repository = await openRepository(`${name}@${revision}`, options);
  const names = repository.files.map(({ path }) => path);
  const [path] = await repository.fetch([file ?? theCheckpoint(names, { name, revision })]);
  return { path: path!, away: repository.away };
}

function theCheckpoint(names: readonly string[], { name, revision }: HubId): string {
  const id = `${name}@${revision}`;
  const [found, ...others] = names.filter((name) => name.endsWith('.safetensors'));
  if (found === undefined) {
    throw new HubError(
      'HUB_NOT_FOUND',
      `${id}: expected a .safetensors file, found ${listFew(names)}; if it is a float model, ${quantizeCommand(id)}`,
    );
  }
  if (others.length === 0) return found;
  throw new HubError(
    'HUB_SEVERAL',
    `${id}: expected one .safetensors file, found ${listFew([found, ...others])}; ` +
      `name the one you mean: ${hubAddress({ name, revision }, found)}`,
  );
}
