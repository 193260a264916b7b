// `node scripts/release-notes.mjs vX.Y.Z`: checks that a tag, package.json and CHANGELOG.md name
// the same version, dated in the changelog, and prints its section.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * @param {string} tag
 * @param {string} version that of package.json
 * @param {string} changelog sections that begin with `## X.Y.Z - YYYY-MM-DD`
 * @returns {string} the section of the version, without its head
 */
export function releaseNotes(tag, version, changelog) {
  if (tag !== `v${version}`)
    throw new Error(`tag: expected v${version}, as package.json has it, found ${tag}`);
  const section = changelog.split(/^## /m).find((text) => text.startsWith(`${version} - `));
  const [head, ...lines] = (section ?? '').split('\n');
  if (!/ - \d{4}-\d{2}-\d{2}$/.test(head))
    throw new Error(
      `CHANGELOG.md: expected "## ${version} - YYYY-MM-DD", found ${head ? `"## ${head}"` : 'none'}`,
    );
  return `${lines.join('\n').trim()}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const read = (name) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8');
  try {
    const { version } = JSON.parse(read('package.json'));
    process.stdout.write(releaseNotes(process.argv[2] ?? 'none', version, read('CHANGELOG.md')));
  } catch ({ message }) {
    console.error(message);
    process.exitCode = 1;
  }
}
