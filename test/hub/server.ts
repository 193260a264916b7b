import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { serve } from '../support/loopback.js';

/** One request as a server of the test saw it. */
export interface Seen {
  server: 'hub' | 'storage';
  path: string;
  range: string | undefined;
  ifRange: string | undefined;
  authorization: string | undefined;
}

/** A model on the test's hub. */
export interface FakeModel {
  commit: string;
  /** Branches and tags; `main` and the commit itself are always there. */
  revisions?: Record<string, string>;
  files: Record<string, Uint8Array>;
  /** Which files are kept in LFS: their bytes come from the storage on another port. */
  lfs?: readonly string[];
  /** The only token that sees it. */
  token?: string;
  /** Files need their terms accepted. */
  gated?: boolean;
}

/** Answers a request in place of the hub; undefined where the hub shall answer. */
export type Fault = (
  request: IncomingMessage,
  response: ServerResponse,
  seen: Seen,
) => ServerResponse | undefined;

export const sha256Of = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** The hash of a file as git makes it. */
export const gitOidOf = (bytes: Uint8Array) =>
  createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');

/**
 * A server that behaves as the hub does, with a storage on another port for what is kept in LFS.
 */
export class FakeHub {
  readonly models: Record<string, FakeModel> = {};
  readonly seen: Seen[] = [];
  fault: Fault | undefined;
  /** What the hub says of a file, in place of the truth. */
  entry: ((entry: Record<string, unknown>) => unknown) | undefined;
  /** The hub's answer about a model, in place of the truth. */
  info: unknown;
  url = '';
  storageUrl = '';
  #close: (() => void)[] = [];

  static async start(): Promise<FakeHub> {
    const hub = new FakeHub();
    const servers = {
      hub: await serve((request, response) => hub.#answer('hub', request, response)),
      storage: await serve((request, response) => hub.#answer('storage', request, response)),
    };
    hub.url = servers.hub.url;
    hub.storageUrl = servers.storage.url;
    hub.#close = [servers.hub.close, servers.storage.close];
    return hub;
  }

  close(): void {
    for (const close of this.#close) close();
  }

  /** What was asked of either server since the last call: `hub /api/...`. */
  requests(): string[] {
    return this.seen.splice(0).map(({ server, path }) => `${server} ${path}`);
  }

  #answer(server: Seen['server'], request: IncomingMessage, response: ServerResponse): ServerResponse {
    const { pathname, searchParams } = new URL(request.url!, this.url);
    const { range, authorization } = request.headers;
    const ifRange = request.headers['if-range'] as string | undefined;
    const seen = { server, path: pathname, range, ifRange, authorization };
    this.seen.push(seen);
    const answered = this.fault?.(request, response, seen);
    if (answered) return answered;
    if (server === 'storage') return this.#store(pathname, request, response);
    const [, id, what, revision, path] =
      /^\/(?:api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/([^/]+)(?:\/(.*))?$/.exec(pathname) ??
      [];
    const model = this.models[id ?? ''];
    const token = authorization?.replace('Bearer ', '');
    // As the hub: whoever shows no token is not told whether there is such a model.
    if (!model || (model.token !== undefined && token !== model.token)) {
      return refuse(response, token === undefined ? 401 : 404, 'RepoNotFound');
    }
    const commit = this.#commit(model, decodeURIComponent(revision!));
    if (commit === undefined) return refuse(response, 404, 'RevisionNotFound');
    if (what === 'revision') {
      const siblings = Object.keys(model.files).map((rfilename) => ({ rfilename }));
      return json(response, this.info ?? { id, sha: commit, lastModified: '2026-01-02', siblings });
    }
    if (what === 'tree') return this.#tree(model, pathname, searchParams.get('cursor'), response);
    if (model.gated) return refuse(response, token === undefined ? 401 : 403, 'GatedRepo');
    return this.#resolve(model, commit, decodeURIComponent(path!), request, response);
  }

  #commit({ commit, revisions = {} }: FakeModel, revision: string): string | undefined {
    return revision === 'main' || revision === commit ? commit : revisions[revision];
  }

  /** Two entries a page. */
  #tree(model: FakeModel, pathname: string, cursor: string | null, response: ServerResponse): ServerResponse {
    const start = Number(cursor ?? 0);
    const files = Object.entries(model.files);
    const page = files.slice(start, start + 2).map(([path, bytes]) => {
      const inLfs = model.lfs?.includes(path);
      const lfs = inLfs ? { oid: sha256Of(bytes), size: bytes.length, pointerSize: 134 } : undefined;
      const entry = { type: 'file', path, size: bytes.length, oid: gitOidOf(bytes), lfs };
      return this.entry ? this.entry(entry) : entry;
    });
    const folder = { type: 'directory', path: 'folder', size: 0, oid: '0'.repeat(40) };
    if (start + 2 < files.length) {
      const next = `${this.url}${pathname}?recursive=true&expand=false&cursor=${start + 2}`;
      response.setHeader('link', `<${next}>; rel="next"`);
    }
    return json(response, start === 0 ? [folder, ...page] : page);
  }

  #resolve(
    model: FakeModel,
    commit: string,
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): ServerResponse {
    const bytes = model.files[path];
    response.setHeader('x-repo-commit', commit);
    if (bytes === undefined) return refuse(response, 404, 'EntryNotFound');
    if (!model.lfs?.includes(path)) return send(request, response, bytes, `"${gitOidOf(bytes)}"`);
    const sha256 = sha256Of(bytes);
    response.setHeader('x-linked-size', bytes.length);
    response.setHeader('x-linked-etag', `"${sha256}"`);
    return response.writeHead(302, { location: `${this.storageUrl}/${sha256}?signature=1` }).end();
  }

  #store(pathname: string, request: IncomingMessage, response: ServerResponse): ServerResponse {
    for (const { files } of Object.values(this.models)) {
      for (const bytes of Object.values(files)) {
        // An ETag of the storage's own, as that of an upload in parts is.
        if (pathname === `/${sha256Of(bytes)}`) return send(request, response, bytes, `"${bytes.length}-5"`);
      }
    }
    return response.writeHead(404).end();
  }
}

/**
 * The bytes, or the range of them that is asked for. `stopAt`: sends those before this offset and
 * then keeps the line open.
 */
export function send(
  request: IncomingMessage,
  response: ServerResponse,
  bytes: Uint8Array,
  etag: string,
  { stopAt = Number.POSITIVE_INFINITY }: { stopAt?: number | undefined } = {},
): ServerResponse {
  const [, first] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
  const ifRange = request.headers['if-range'];
  const start =
    first === undefined || (ifRange !== undefined && ifRange !== etag) ? undefined : Number(first);
  if (start !== undefined && start >= bytes.length) return response.writeHead(416).end();
  const range = `bytes ${start}-${bytes.length - 1}/${bytes.length}`;
  response.writeHead(start === undefined ? 200 : 206, {
    etag,
    'content-length': bytes.length - (start ?? 0),
    ...(start === undefined ? {} : { 'content-range': range }),
  });
  if (stopAt >= bytes.length) return response.end(bytes.subarray(start ?? 0));
  response.write(bytes.subarray(start ?? 0, stopAt));
  return response;
}

function json(response: ServerResponse, value: unknown): ServerResponse {
  response.setHeader('content-type', 'application/json');
  return response.end(typeof value === 'string' ? value : JSON.stringify(value));
}

/** The hub repeats in its text what it was sent. */
export function refuse(response: ServerResponse, status: number, code?: string): ServerResponse {
  if (code) response.setHeader('x-error-code', code);
  const authorization = String(response.req.headers.authorization);
  response.writeHead(status, { 'x-error-message': authorization, 'content-type': 'application/json' });
  return response.end(JSON.stringify({ error: `found ${authorization}` }));
}
