// `node scripts/dependencies.mjs`: writes docs/dependencies.md and THIRD-PARTY-LICENSES from
// package.json, package-lock.json, the installed packages and codecs/components.json.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path) => readFileSync(`${root}${path}`, 'utf8');
const { toolchain, components } = JSON.parse(read('codecs/components.json'));
const { packages } = JSON.parse(read('package-lock.json'));
const { optionalDependencies, peerDependencies } = JSON.parse(read('package.json'));
const versionOf = (name) => packages[`node_modules/${name}`].version;

/** Packages whose code scripts/bundle.mjs copies into dist. */
const INLINED = ['pako'];

/** What optional dependencies are for. */
const OPTIONAL = {
  '@huggingface/hub': 'models on the Hugging Face hub',
  undici: 'proxies (`HTTP_PROXY`, `HTTPS_PROXY`) in Node',
};

/** What peers are for, and the oldest versions that passed the tests of serve and queue. */
export const PEERS = {
  '@aws-sdk/client-s3': { use: '`work -o s3://…`', tested: ['3.800.0'] },
  '@hono/node-server': { use: '`serve`', tested: ['1.19.0', '2.0.0'] },
  bullmq: { use: '`enqueue`, `work`, `queue`', tested: ['5.81.5', '6.0.0'] },
  hono: { use: '`serve`, `createApp`', tested: ['4.0.0'] },
  ioredis: { use: '`enqueue`, `work`, `queue`', tested: ['6.0.0'] },
  pino: { use: '`serve`', tested: ['8.0.0', '9.0.0'] },
  'prom-client': { use: '`serve`', tested: ['14.0.0', '15.0.0'] },
};

/** The native components of the modules in codecs/. */
export const native = components;

const installed = Object.entries(packages).map(([path, { version, license, integrity, ...flags }]) => ({
  path,
  name: path.replace(/^.*node_modules\//, ''),
  version,
  license: license?.replace(/^\((.*)\)$/, '$1'),
  integrity,
  ...flags,
}));

/** npm packages whose code is in the package. */
export const bundled = installed.filter(
  ({ path, name, inBundle }) => inBundle || (INLINED.includes(name) && path === `node_modules/${name}`),
);

/** npm packages that npm installs next to fqvit where it can. */
export const optional = installed.filter(
  ({ path, dev, devOptional, peer, inBundle }) => path !== '' && !(dev || devOptional || peer || inBundle),
);

const cell = (values) => `| ${values.join(' | ')} |`;
const table = (head, rows) => [cell(head), cell(head.map(() => '---')), ...rows.map(cell)].join('\n');

export function dependenciesPage() {
  const modules = native.flatMap(({ modules = {} }) => Object.entries(modules));
  const archives = native.flatMap(({ archives = {} }) => Object.entries(archives));
  const digests = [...modules.map(([name, digest]) => [`codecs/${name}`, digest]), ...archives];
  const tools = Object.entries(toolchain).map(([name, version]) => `\`${name}\` ${version}`);
  return `# What is inside the package

This page lists what others wrote in fqvit: each component, its version and licence, where it comes
from and where its vulnerabilities are announced. It also says which versions of the optional
packages work. \`THIRD-PARTY-LICENSES\` has the texts of the licences, and \`npm run sbom\` prints the
list as CycloneDX.

\`node scripts/dependencies.mjs\` generates this page and the licence file. A test compares them with
\`package-lock.json\`, with the installed packages and with the modules.

## Native components

${table(
  ['name', 'version', 'licence', 'Debian source', 'part of'],
  native.map(({ name, version, license, debian, modules }) => [
    name,
    version,
    license,
    debian,
    modules === undefined
      ? 'all of these: `malloc`, `memset`, `memcmp`'
      : Object.keys(modules)
          .map((module) => `\`wasm/${module}\``)
          .join(', '),
  ]),
)}

Each comes from Debian's source package of its name, and Debian's security tracker has a page for
each. The software in \`wasm/jpeg.wasm\` and \`wasm/jpeg-encode.wasm\` is based in part on the work of
the Independent JPEG Group.

\`npm run build:codecs\` builds the modules from these sources with

${tools.map((tool) => `- ${tool}`).join('\n')}

It refuses archives with another digest, applies Debian's patches, and builds everything twice:
both builds must have the same bytes. The modules are committed. A test compares each with its
digest, and its copies in \`wasm/\` and \`dist/browser/\` with the original. Each decoder reports the
version of its sources, which the test compares with this table.

SHA-256:

\`\`\`text
${digests.map(([name, digest]) => `${digest}  ${name}`).join('\n')}
\`\`\`

A module imports its memory and two functions: \`fail\` throws, \`emit\` takes pixels. It cannot read a
file, open a connection or see the time. The maximum of its memory bounds what a picture may take.
fqvit drops an instance that refused a picture, warned or trapped.

When a new version of a source package fixes a vulnerability:

1. Change \`debian\`, \`version\` and \`archives\` in \`codecs/components.json\`.
2. Run \`npm run build:codecs\` and \`node scripts/dependencies.mjs\`.
3. Run the tests. The 500 photos must still decode to Pillow's bytes.

## npm packages

npm checks each package against its digest in \`package-lock.json\`. \`npm audit --omit=dev\` and
GitHub's advisories announce their vulnerabilities.

${table(
  ['name', 'version', 'licence', 'origin'],
  bundled.map(({ name, version, license }) => [
    name,
    version,
    license,
    INLINED.includes(name) ? 'npm, copied into `dist/image/png/inflate.js`' : 'npm, bundled',
  ]),
)}

AssemblyScript (Apache-2.0) compiles the kernels (\`wasm/fqvit.*.wasm\`) from \`assembly/\`, without its
runtime.

### Why they are bundled

The tarball contains its npm dependencies (\`bundleDependencies\`). Therefore

- it installs and classifies without a network, a registry or a cache, which a test does;
- you run the versions that our tests ran;
- the list above is complete, and so are the licences in the package.

This costs 0.7 MB of the 4.6 MB tarball. Your app has a second copy of a package that it uses
itself. \`overrides\` in your \`package.json\` do not reach a bundled package, so a fix arrives with a
new version of fqvit.

## Optional packages

npm installs these two where it can; fqvit works without them:

${table(
  ['package', 'range', 'for'],
  Object.entries(optionalDependencies).map(([name, range]) => [
    `\`${name}\``,
    `\`${range}\``,
    OPTIONAL[name],
  ]),
)}

\`undici\` stays at 6, since 7 does not run on every Node 20.

You install these yourself. The tests of the service and the queue pass with the versions in the
last column:

${table(
  ['package', 'range', 'for', 'tested'],
  Object.entries(peerDependencies).map(([name, range]) => {
    const { use, tested } = PEERS[name];
    return [`\`${name}\``, `\`${range}\``, use, [...new Set([...tested, versionOf(name)])].join(', ')];
  }),
)}

\`ioredis\` 5 is not in the range: with it, a command may end 30 seconds late, after a timer of the
library.
`;
}

/** Texts of licences that a package names but does not contain. */
const TEXTS = {
  // its package names MIT and its authors; the terms are those of citty's MIT licence
  '@bomb.sh/tab': () => {
    const { author } = JSON.parse(read('node_modules/@bomb.sh/tab/package.json'));
    const terms = read('node_modules/citty/LICENSE').match(
      /Permission is hereby granted[\s\S]*?SOFTWARE\.\n/,
    )[0];
    return `MIT License\n\nCopyright (c) ${author}\n\n${terms}`;
  },
  // the second licence covers the parts from Google's protobuf
  '@bufbuild/protobuf': () =>
    [
      read('LICENSE'),
      read('node_modules/@bufbuild/protobuf/dist/esm/wire/varint.js')
        .match(/^(?:\/\/.*\n)+/)[0]
        .replace(/^\/\/ ?/gm, ''),
    ].join('\n'),
};

/** The licence files of a package, and of the code that it copied. */
function licenseText({ name, path }) {
  const files = readdirSync(`${root}${path}`, { recursive: true })
    .filter((file) => /^(licen[cs]e|copying|notice)|third-party-licenses/i.test(file))
    .sort();
  if (files.length === 0 && TEXTS[name] === undefined)
    throw new Error(`${name}: expected the text of its licence`);
  return files.length > 0 ? files.map((file) => read(`${path}/${file}`)).join('\n') : TEXTS[name]();
}

export function thirdPartyLicenses() {
  const all = [
    ...native.map((component) => ({ ...component, text: read(`codecs/licenses/${component.name}.txt`) })),
    ...bundled.map((one) => ({ ...one, text: licenseText(one) })),
  ];
  const introduction = `fqvit contains the following software of others, under the licences below. docs/dependencies.md in the
repository says where each comes from. This software is based in part on the work of the Independent
JPEG Group.
`;
  const sections = all.map(
    ({ name, version, license, text }) =>
      `${'='.repeat(80)}\n${name} ${version} (${license})\n${'='.repeat(80)}\n\n${text.trim()}\n`,
  );
  return [introduction, ...sections].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(`${root}docs/dependencies.md`, dependenciesPage());
  writeFileSync(`${root}THIRD-PARTY-LICENSES`, thirdPartyLicenses());
}
