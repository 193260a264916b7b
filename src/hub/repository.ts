import { HubError } from '../errors.js';
import { MAX_BYTES } from '../platform/read-options.js';
import { systemReason } from '../platform/system-reason.js';
import { formatValue } from '../text/format-value.js';
import { HubCache } from './cache.js';
import { download } from './download.js';
import type { HubConnection } from './http.js';
import { parseHubId } from './id.js';
import { askCommit, askFiles, type ListedFile } from './listing.js';
import { ATTEMPTS, PassingError, type Persistence, sleep } from './persist.js';
import { readSettings } from './settings.js';

export interface RepositoryOptions {
  signal?: AbortSignal | undefined;
  /** Bytes so far and in total, of the files of one `fetch` that are not in the cache. */
  onProgress?: ((loaded: number, total: number) => void) | undefined;
  /** Default: the folder of the hub's other tools. */
  cacheDir?: string | undefined;
  /** Environment with `HF_TOKEN` and the like. Default `process.env`. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Milliseconds that the hub may be silent. Default 10,000. */
  timeoutMs?: number | undefined;
  /** Waits between attempts. */
  pause?: Persistence['pause'] | undefined;
}

export interface RepositoryFile {
  /** Name in the repository, with `/` between folders. */
  readonly path: string;
  /** Bytes. */
  readonly size: number;
}

/** A model on the hub at one commit. */
export interface Repository {
  /** `owner/name`. */
  readonly id: string;
  readonly revision: string;
  /** The commit that the revision names: 40 hexadecimal digits. */
  readonly commit: string;
  /** If the cache answered: why the hub was not asked or did not answer. */
  readonly away: HubError | undefined;
  /** All files; only those in the cache if the hub was never asked and cannot be reached. */
  readonly files: readonly RepositoryFile[];
  /** Folder with the fetched files under their own names. */
  readonly folder: string;
  /**
   * Downloads files, unless they are in the cache.
   *
   * @returns their paths, in the same order
   * @throws HubError `HUB_NOT_FOUND` for an unknown name, `HUB_SIZE`, `HUB_HASH`, `HUB_CACHE`,
   *   `HUB_OFFLINE` and those of `openRepository`; the reason of `signal`, after which another
   *   `fetch` continues from the same byte
   */
  fetch(paths: readonly string[]): Promise<string[]>;
}

const TIMEOUT_MS = 10_000;

/**
 * Looks up a model on the Hugging Face hub. If the hub cannot be reached, uses the commit that it
 * named last.
 *
 * @example
 * const repository = await openRepository('google/vit-base-patch16-224');
 * const [config, weights] = await repository.fetch(['config.json', 'model.safetensors']);
 * @param id `owner/name`, or with a branch, tag or commit `owner/name@revision`
 * @throws HubError `HUB_ID`, `HUB_NOT_FOUND`, `HUB_GATED`, `HUB_TOKEN`, `HUB_RATE`, `HUB_NETWORK`,
 *   `HUB_OFFLINE`, `HUB_ANSWER`, `HUB_ENDPOINT`, `HUB_LIBRARY`; the reason of `signal`
 */
export async function openRepository(id: string, options: RepositoryOptions = {}): Promise<Repository> {
  const parsed = parseHubId(id);
  if (parsed === undefined) {
    throw new HubError('HUB_ID', `expected owner/name or owner/name@revision, found ${formatValue(id)}`);
  }
  const settings = await readSettings(options.env ?? process.env);
  const { signal, onProgress, cacheDir = settings.cacheDir, timeoutMs = TIMEOUT_MS, pause = sleep } = options;
  signal?.throwIfAborted();
  const { endpoint, token } = settings;
  const connection = { id: parsed, endpoint, token, signal, timeoutMs, pause, attempts: ATTEMPTS };
  const cache = new HubCache(cacheDir, parsed);
  const { commit, away } = await findCommit(cache, connection, settings.offline);
  const listing = (await cache.listing(commit)) ?? (away ? undefined : await askFiles(commit, connection));
  const files = listing ?? (await cache.held(commit));
  return {
    id: parsed.name,
    revision: parsed.revision,
    commit,
    away,
    files: files.map(({ path, size }) => ({ path, size })),
    folder: cache.snapshot(commit),
    fetch: async (paths) => {
      try {
        return await fetchFiles(paths, { commit, away, listing, cache, connection, onProgress });
      } catch (error) {
        throw inCache(error, cache);
      }
    },
  };
}

/** The commit that the revision names now or, if the hub cannot be reached, named last. */
async function findCommit(
  cache: HubCache,
  connection: HubConnection,
  offline: boolean,
): Promise<Pick<Repository, 'commit' | 'away'>> {
  const known = await cache.commit();
  try {
    if (offline) {
      const { name, revision } = connection.id;
      throw new PassingError(
        'HUB_OFFLINE',
        `${name}@${revision}: expected to ask the hub, found HF_HUB_OFFLINE set`,
      );
    }
    // with a copy in the cache, one attempt is enough
    const attempts = known === undefined ? ATTEMPTS : 1;
    return { commit: await askCommit({ ...connection, attempts }), away: undefined };
  } catch (error) {
    if (!(error instanceof PassingError)) throw error;
    if (known !== undefined) return { commit: known, away: error };
    throw new HubError(error.code, `${error.message}; there is no copy in ${cache.folder}`, { cause: error });
  }
}

interface OpenedRepository {
  readonly commit: string;
  readonly away: HubError | undefined;
  /** All files of the commit; undefined if the hub was never asked and cannot be reached. */
  readonly listing: readonly ListedFile[] | undefined;
  readonly cache: HubCache;
  readonly connection: HubConnection;
  readonly onProgress: RepositoryOptions['onProgress'];
}

async function fetchFiles(paths: readonly string[], opened: OpenedRepository): Promise<string[]> {
  const { cache, commit, listing, away, connection } = opened;
  connection.signal?.throwIfAborted();
  if (listing === undefined) {
    const held = new Set((await cache.held(commit)).map(({ path }) => path));
    const absent = paths.filter((path) => !held.has(path));
    if (absent.length > 0) throw await unavailable(absent, opened);
  } else {
    const absent = [];
    for (const path of new Set(paths)) {
      const file = find(path, listing, connection);
      if (!(await cache.provides(commit, file))) absent.push(file);
    }
    if (absent.length > 0 && away)
      throw await unavailable(
        absent.map(({ path }) => path),
        opened,
      );
    await downloadAll(absent, opened);
    // The files are usable without this record.
    if (paths.length > 0) await cache.remember(commit, listing).catch(() => {});
  }
  return paths.map((path) => cache.path(commit, path));
}

function find(path: string, listing: readonly ListedFile[], { id }: HubConnection): ListedFile {
  const file = listing.find((listed) => listed.path === path);
  if (file === undefined) {
    const names = listFew(listing.map((listed) => listed.path));
    throw new HubError('HUB_NOT_FOUND', `${id.name}: expected the file ${formatValue(path)}, found ${names}`);
  }
  // No caller reads a longer file.
  if (file.size <= MAX_BYTES) return file;
  throw new HubError(
    'HUB_SIZE',
    `${id.name}/${path}: expected at most ${MAX_BYTES} bytes, found ${file.size}`,
  );
}

async function downloadAll(files: readonly ListedFile[], opened: OpenedRepository): Promise<void> {
  const { cache, commit, connection, onProgress } = opened;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  let before = 0;
  for (const file of files) {
    await download(file, commit, cache.blobs, connection, (length) => onProgress?.(before + length, total));
    await cache.link(commit, file);
    before += file.size;
  }
}

async function unavailable(
  absent: readonly string[],
  { cache, commit, away }: OpenedRepository,
): Promise<HubError> {
  const held = await cache.held(commit);
  const found = listFew(held.map(({ path }) => path));
  return new HubError(
    away!.code,
    `${cache.folder}: expected ${listFew(absent)}, found ${found}; ${away!.message}`,
    { cause: away },
  );
}

/** A list of names for a message. */
export function listFew(names: readonly string[]): string {
  const more = names.length > 6 ? ` and ${names.length - 6} more` : '';
  return names.length === 0 ? 'nothing' : names.slice(0, 6).map(formatValue).join(', ') + more;
}

/** Errors of the file system; those of the network are HubErrors already. */
function inCache(error: unknown, { folder }: HubCache): unknown {
  if (error instanceof HubError || (error as NodeJS.ErrnoException)?.syscall === undefined) return error;
  return new HubError(
    'HUB_CACHE',
    `${folder}: expected a cache that takes the files, found ${systemReason(error)}`,
    { cause: error },
  );
}
