// The docs site. DOCS_BASE is the path that it is served under, such as /fqvit/; DOCS_REPOSITORY is
// the address of the repository, for links to sources. Both are optional.
import { readdirSync } from 'node:fs';
import { posix } from 'node:path';
import { defineConfig } from 'vitepress';
import { files, groups, pathOf, ROOT } from './pages.mjs';

const { DOCS_BASE: base = '/', DOCS_REPOSITORY: repository } = process.env;
const folders = new Set(files.map((file) => file.split('/')[0]));
const others = readdirSync(ROOT)
  .filter((name) => !folders.has(name))
  .flatMap((name) => [name, `${name}/**`]);
const link = (file) => `/${pathOf(file).replace(/(^|\/)index\.md$/, '$1')}`;

export default defineConfig({
  title: 'fqvit',
  description: 'Vision Transformers with integer arithmetic only, on WebAssembly',
  lang: 'en-GB',
  base,
  srcDir: ROOT,
  srcExclude: others,
  outDir: `${ROOT}docs/.site`,
  rewrites: Object.fromEntries(files.map((file) => [file, pathOf(file)])),
  markdown: { config: useSiteLinks },
  vite: { plugins: [{ name: 'vue-of-docs', enforce: 'pre', resolveId: resolveVue }] },
  head: [['link', { rel: 'icon', href: 'data:,' }]],
  transformPageData({ title, relativePath }) {
    return {
      ...(title === 'fqvit' ? { titleTemplate: ':title' } : {}),
      ...(relativePath.startsWith('api/') ? { frontmatter: { pageClass: 'api' } } : {}),
    };
  },
  themeConfig: {
    outline: [2, 3],
    search: { provider: 'local' },
    nav: [
      { text: 'Guide', link: '/' },
      { text: 'API', link: '/api/' },
      { text: 'Demo', link: '/demo/', target: '_self' },
    ],
    sidebar: {
      '/': sidebar(groups.filter(([title]) => title !== 'API')),
      '/api/': sidebar(groups.filter(([title]) => title === 'API')),
    },
    ...(repository === undefined ? {} : { socialLinks: [{ icon: 'github', link: repository }] }),
  },
});

function sidebar(shown) {
  return shown.map(([text, pages]) => ({
    text,
    items: pages.map(([name, file]) => ({ text: name, link: link(file) })),
  }));
}

/** Vue is installed in docs/; some pages are outside. */
function resolveVue(id, _importer, options) {
  if (!/^vue(\/|$)/.test(id)) return undefined;
  return this.resolve(id, `${ROOT}docs/.vitepress/config.mjs`, { ...options, skipSelf: true });
}

/**
 * Links are written for GitHub, relative to their file. Those to pages become paths of the site. One
 * to any other file leads to the repository; without `DOCS_REPOSITORY` only its text stays.
 */
function useSiteLinks(md) {
  md.core.ruler.push('site_links', ({ tokens, env }) => {
    const folder = posix.dirname(posix.relative(ROOT, env.realPath ?? env.path));
    for (const token of tokens) {
      if (token.children === null) continue;
      const open = [];
      token.children = token.children.filter((child) => {
        if (child.type === 'link_close') return open.pop();
        if (child.type !== 'link_open') return true;
        const href = siteHref(child.attrGet('href'), folder);
        if (href !== undefined) child.attrSet('href', href);
        open.push(href !== undefined);
        return href !== undefined;
      });
    }
  });
}

/** @returns undefined for a file that the site does not have */
function siteHref(href, folder) {
  if (/^(\w+:|#|\/)/.test(href)) return href;
  const [path, hash] = href.split('#');
  const file = posix.join(folder, path);
  const after = hash === undefined ? '' : `#${hash}`;
  if (files.includes(file)) return `/${pathOf(file)}${after}`;
  // a page that is missing stays, so that the build fails
  if (file.startsWith('docs/') && file.endsWith('.md')) return href;
  return repository && `${repository}/blob/HEAD/${file}${after}`;
}
