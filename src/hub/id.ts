/** How models on the hub are named. Nothing here is Node's: browsers use it too. */

import { shown } from '../checkpoint/shown.js';
import { HubError } from '../errors.js';

/** A model on the hub at one of its branches, tags or commits. */
export interface HubId {
  /** `owner/name`. */
  readonly name: string;
  readonly revision: string;
}

/** A model on the hub, or one of its files. */
export interface HubSource extends HubId {
  /** Its name in the repository, with `/` between folders. */
  readonly file: string | undefined;
}

const SCHEME = 'hf://';

/** The path of a page on the hub. */
const PAGE = /^https?:\/\/(?:(?:www\.)?huggingface|hf)\.co\/([^?#]+?)\/?(?:[?#].*)?$/is;

/** Of a model's page: `owner/name`, `owner/name/tree/REVISION`, `owner/name/blob/REVISION/FILE`. */
const MODEL_PAGE = /^([^/]+\/[^/]+)(?:\/tree\/([^/]+)|\/blob\/([^/]+\/.+))?$/s;

/** How addresses of other things on the hub begin. */
const OTHERS: ReadonlyMap<string, string> = new Map([
  ['datasets', 'a dataset'],
  ['spaces', 'a space'],
  ['buckets', 'a bucket'],
  ['collections', 'a collection'],
  ['papers', 'a paper'],
]);

/** The hub's own rules; `--` separates owner and name in the cache's folders. Each part stands in URLs and paths as it is. */
const PART = /^[a-z0-9][\w.-]{0,95}$/i;

/** A segment of a branch, tag or commit; `refs/pr/1` is a revision too. */
const REVISION_PART = /^\w[\w.+-]{0,99}$/;

/** What a path with a mistake in it ends with: such a name is not sent to anybody. */
const FILE = /\.(safetensors|pth?|bin|ckpt|onnx|json)$/i;

/**
 * What a text means on the hub: `owner/name` or `owner/name@revision`, or as the hub's own tools write it
 * `hf://owner/name@revision/folder/file`, where a `/` in the revision is `%2F`, or the address of its page or of a file's. Undefined for what
 * may be a path, and for other addresses, which are fetched as they are.
 *
 * @throws HubError `HUB_ID` for anything else after `hf://`, and for a dataset, a space or what else is no model
 */
export function parseHubSource(text: string): HubSource | undefined {
  if (/^hf:\/\//i.test(text)) return parseAddress(text.slice(SCHEME.length));
  const page = PAGE.exec(text)?.[1];
  if (page !== undefined) return parsePage(page, text);
  const id = FILE.test(text) ? undefined : parseHubId(text);
  if (id === undefined) return undefined;
  expectModel(text, text);
  return { ...id, file: undefined };
}

function parsePage(page: string, text: string): HubSource | undefined {
  if (/\/(resolve|raw)\//.test(page)) return undefined; // a file as it is
  expectModel(page, text);
  const [, name = '', tree = 'main', blob] = MODEL_PAGE.exec(page) ?? [];
  if (blob !== undefined) return parseAddress(`${name}@${blob}`);
  const id = parseHubId(`${name}@${tree.replace(/%2F/gi, '/')}`);
  return id && { ...id, file: undefined };
}

/** @throws HubError `HUB_ID` for the address of something else that the hub has */
function expectModel(way: string, address: string): void {
  const other = OTHERS.get(way.split('/', 1)[0]!.toLowerCase());
  if (other === undefined) return;
  throw new HubError(
    'HUB_ID',
    `expected a model on the hub, owner/name, found ${other}: ${shownAddress(address)}`,
  );
}

/** Without what follows "?", which may be a secret. */
const shownAddress = (address: string) => shown(address.replace(/[?#].*$/s, ''));

export function parseHubId(text: string): HubId | undefined {
  const [, name, revision = 'main'] = /^([^@]*)(?:@(.*))?$/.exec(text) ?? [];
  if (name === undefined || !isName(name) || !isRevision(revision)) return undefined;
  return { name, revision };
}

/** As `parseHubSource` reads it. */
export function hubAddress({ name, revision }: HubId, file: string): string {
  return `${SCHEME}${name}@${revision.replaceAll('/', '%2F')}/${file}`;
}

/** Where a browser finds a file: the hub allows requests from all pages. */
export function hubUrl({ name, revision, file = 'model.safetensors' }: HubSource): string {
  const path = file.split('/').map(encodeURIComponent).join('/');
  return `https://huggingface.co/${name}/resolve/${encodeURIComponent(revision)}/${path}`;
}

function parseAddress(address: string): HubSource {
  expectModel(address, SCHEME + address);
  const [, model = '', file] = /^([^/]*\/[^/]*)(?:\/(.+))?$/s.exec(address) ?? [];
  const id = parseHubId(model.replace(/%2F/gi, '/'));
  if (id !== undefined && (file === undefined || file.split('/').every((part) => !/^\.{0,2}$/.test(part)))) {
    return { ...id, file };
  }
  throw new HubError(
    'HUB_ID',
    `expected ${SCHEME}owner/name, also with @revision and /file behind it, found ${shownAddress(SCHEME + address)}`,
  );
}

function isName(name: string): boolean {
  const parts = name.split('/');
  return parts.length === 2 && parts.every((part) => PART.test(part) && !/--|\.\.|[.-]$|\.git$/i.test(part));
}

function isRevision(revision: string): boolean {
  const parts = revision.split('/');
  return (
    parts.length <= 8 && parts.every((part) => REVISION_PART.test(part) && !/\.\.|\.$|\.lock$/i.test(part))
  );
}
