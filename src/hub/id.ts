import { existsSync } from 'node:fs';

/** A model on the hub at one of its branches, tags or commits. */
export interface HubId {
  /** `owner/name`. */
  readonly name: string;
  readonly revision: string;
}

/** The hub's own rules; `--` separates owner and name in the cache's folders. Each part stands in URLs and paths as it is. */
const PART = /^[a-z0-9][\w.-]{0,95}$/i;

/** A segment of a branch, tag or commit; `refs/pr/1` is a revision too. */
const REVISION_PART = /^\w[\w.+-]{0,99}$/;

/** What a path with a mistake in it ends with: such a name is not sent to anybody. */
const FILE = /\.(safetensors|pth?|bin|json)$/i;

/** Whether a text means a model on the hub, `owner/name` or `owner/name@revision`, and not a path. */
export function isHubId(text: string): boolean {
  return parseHubId(text) !== undefined && !FILE.test(text) && !existsSync(text);
}

export function parseHubId(text: string): HubId | undefined {
  const [, name, revision = 'main'] = /^([^@]*)(?:@(.*))?$/.exec(text) ?? [];
  if (name === undefined || !isName(name) || !isRevision(revision)) return undefined;
  return { name, revision };
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
