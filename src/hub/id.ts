/** The names of models on the hub. Browsers use this file too, so it needs nothing of Node. */

import { HubError } from '../errors.js';
import { formatValue } from '../text/format-value.js';

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

/** Path of a page on the hub. */
const PAGE = /^https?:\/\/(?:(?:www\.)?huggingface|hf)\.co\/([^?#]+?)\/?(?:[?#].*)?$/is;

/** A model's page: `owner/name`, `owner/name/tree/REVISION`, `owner/name/blob/REVISION/FILE`. */
const MODEL_PAGE = /^([^/]+\/[^/]+)(?:\/tree\/([^/]+)|\/blob\/([^/]+\/.+))?$/s;

/** The first segment of other addresses on the hub. */
const OTHERS: ReadonlyMap<string, string> = new Map([
  ['datasets', 'a dataset'],
  ['spaces', 'a space'],
  ['buckets', 'a bucket'],
  ['collections', 'a collection'],
  ['papers', 'a paper'],
]);

/**
 * The hub's own rules. `--` separates owner and name in the cache's folders. Each part is used in
 * URLs and paths unchanged.
 */
const PART = /^[a-z0-9][\w.-]{0,95}$/i;

/** A segment of a branch, tag or commit; `refs/pr/1` is a revision too. */
const REVISION_PART = /^\w[\w.+-]{0,99}$/;

/** The ending of a mistyped path: such a name is not sent to the hub. */
const FILE = /\.(safetensors|pth?|bin|ckpt|onnx|json)$/i;

/**
 * Parses the name of a model on the hub: `owner/name` or `owner/name@revision`; the form of the
 * hub's own tools, `hf://owner/name@revision/folder/file`, with `%2F` for a `/` in the revision; or
 * the address of the page of a model or file. Undefined for a possible path, and for other
 * addresses, which are fetched unchanged.
 *
 * @throws HubError `HUB_ID` for any other text after `hf://`, and for a dataset, a space or
 *   anything else that is not a model
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
  if (/\/(resolve|raw)\//.test(page)) return undefined; // the address of a file itself
  expectModel(page, text);
  const [, name = '', tree = 'main', blob] = MODEL_PAGE.exec(page) ?? [];
  if (blob !== undefined) return parseAddress(`${name}@${blob}`);
  const id = parseHubId(`${name}@${tree.replace(/%2F/gi, '/')}`);
  return id && { ...id, file: undefined };
}

/** @throws HubError `HUB_ID` for the address of anything else on the hub */
function expectModel(way: string, address: string): void {
  const other = OTHERS.get(way.split('/', 1)[0]!.toLowerCase());
  if (other === undefined) return;
  throw new HubError(
    'HUB_ID',
    `expected a model on the hub, owner/name, found ${other}: ${shownAddress(address)}`,
  );
}

/** Without the text after "?", which may be a secret. */
const shownAddress = (address: string) => formatValue(address.replace(/[?#].*$/s, ''));

export function parseHubId(text: string): HubId | undefined {
  const [, name, revision = 'main'] = /^([^@]*)(?:@(.*))?$/.exec(text) ?? [];
  if (name === undefined || !isName(name) || !isRevision(revision)) return undefined;
  return { name, revision };
}

/** In the form that `parseHubSource` reads. */
export function hubAddress({ name, revision }: HubId, file: string): string {
  return `${SCHEME}${name}@${revision.replaceAll('/', '%2F')}/${file}`;
}

/** The address of a file for browsers: the hub allows requests from all pages. */
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
    `expected ${SCHEME}owner/name, also with @revision and /file after it, found ${shownAddress(SCHEME + address)}`,
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
