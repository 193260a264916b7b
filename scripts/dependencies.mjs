// `node scripts/dependencies.mjs`: writes docs/dependencies.md and THIRD-PARTY-LICENSES from package-lock.json, the installed packages
// and codecs/components.json.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path) => readFileSync(`${root}${path}`, 'utf8');
const { toolchain, components } = JSON.parse(read('codecs/components.json'));
const { packages } = JSON.parse(read('package-lock.json'));

/** Whose code scripts/bundle.mjs copies into dist. */
const INLINED = ['pako'];

/** Native components, which the modules of codecs/ consist of. */
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

/** npm packages that are installed beside it where that is possible. */
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

The package runs without a network and without other packages, so it has everything with it. This page lists
what others wrote: which version, under which licence, from where, and how we learn of its vulnerabilities.
\`THIRD-PARTY-LICENSES\` has the texts of the licences. \`npm run sbom\` prints the list as CycloneDX.

\`node scripts/dependencies.mjs\` generates this page and the licence file; a test compares them with
\`package-lock.json\`, with the installed packages and with the modules themselves.

## Native components

${table(
  ['name', 'version', 'licence', 'origin', 'part of', 'vulnerabilities'],
  native.map(({ name, version, license, debian, modules }) => [
    name,
    version,
    license,
    `Debian's source package \`${name}\` ${debian}`,
    modules === undefined
      ? 'all of these: `malloc`, `memset`, `memcmp`'
      : Object.keys(modules)
          .map((module) => `\`wasm/${module}\``)
          .join(', '),
    `Debian's security tracker, page of \`${name}\``,
  ]),
)}

\`npm run build:codecs\` builds the modules from these sources with
${tools.join(',\n')}.
It refuses archives with another digest, applies Debian's patches, and builds everything twice: both must
have the same bytes. The modules are committed; a test compares each with its digest, and the copies in
\`wasm/\` and \`dist/browser/\` with the originals. Each decoder tells the version that its sources give, which
the test compares with this table.

SHA-256:

\`\`\`text
${digests.map(([name, digest]) => `${digest}  ${name}`).join('\n')}
\`\`\`

A module imports its memory and two functions, and nothing else: \`fail\` throws, \`emit\` takes pixels. It
cannot read a file, open a connection or see the time. What a picture may take is the maximum of that memory.
An instance that refused a picture, warned or trapped is dropped.

When a new version of a source package closes a vulnerability: change \`debian\`, \`version\` and \`archives\` in
\`codecs/components.json\`, run \`npm run build:codecs\` and \`node scripts/dependencies.mjs\`, then the tests. The
500 photos must keep the bytes of Pillow.

The software in \`wasm/jpeg.wasm\` and \`wasm/jpeg-encode.wasm\` is based in part on the work of the Independent
JPEG Group.

## npm packages

\`package-lock.json\` has their digests, which npm checks. \`npm audit --omit=dev\` and GitHub's advisories tell
their vulnerabilities.

${table(
  ['name', 'version', 'licence', 'origin'],
  bundled.map(({ name, version, license }) => [
    name,
    version,
    license,
    INLINED.includes(name) ? 'npm, copied into `dist/image/inflate.js`' : 'npm, bundled',
  ]),
)}

\`@huggingface/hub\` and \`undici\` are optional dependencies and not in the package: npm installs them where it
can. The kernels (\`wasm/fqvit.*.wasm\`) are
compiled from \`assembly/\` by AssemblyScript (Apache-2.0), without its runtime.
`;
}

/** Licences that a package names without the text of them. */
const TEXTS = {
  // its package names MIT and its authors; the terms are those of citty's MIT licence
  '@bomb.sh/tab': () => {
    const { author } = JSON.parse(read('node_modules/@bomb.sh/tab/package.json'));
    const terms = read('node_modules/citty/LICENSE').match(
      /Permission is hereby granted[\s\S]*?SOFTWARE\.\n/,
    )[0];
    return `MIT License\n\nCopyright (c) ${author}\n\n${terms}`;
  },
  // the second is that of the parts that come from Google's protobuf
  '@bufbuild/protobuf': () =>
    [
      read('LICENSE'),
      read('node_modules/@bufbuild/protobuf/dist/esm/wire/varint.js')
        .match(/^(?:\/\/.*\n)+/)[0]
        .replace(/^\/\/ ?/gm, ''),
    ].join('\n'),
};

/** The files of a package with its licence, and with those of what it has copied. */
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
  const introduction = `This package contains software of others, under the licences below. docs/dependencies.md in the repository
says what is from where. This software is based in part on the work of the Independent JPEG Group.
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
