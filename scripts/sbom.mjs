// `npm run sbom`: prints the components of the package, and the packages that npm installs with it,
// as CycloneDX 1.5. `npm sbom` knows neither native components nor copied code, and omits
// dependencies that are development dependencies too.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundled, native, optional } from './dependencies.mjs';

/** A component of CycloneDX. */
const component = (fields, scope) => ({ type: 'library', 'bom-ref': fields.purl, scope, ...fields });

function npmComponent({ name, version, license, integrity }, scope) {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const content = Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex');
  const licenses = [{ expression: license }];
  return component({ name, version, purl, licenses, hashes: [{ alg: 'SHA-512', content }] }, scope);
}

function nativeComponent({ name, version, license, debian, modules, archives }) {
  const purl = `pkg:deb/debian/${name}@${encodeURIComponent(debian)}?arch=source`;
  const files = Object.entries({ ...modules, ...archives }).map(([file, content]) => ({
    type: 'file',
    name: file,
    hashes: [{ alg: 'SHA-256', content }],
  }));
  const licenses = [{ expression: license }];
  return component({ name, version, purl, licenses, components: files }, 'required');
}

/** The document depends on package.json, package-lock.json and codecs/components.json only. */
export function sbom() {
  const { name, version, license } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  const purl = `pkg:npm/${name}@${version}`;
  const licenses = [{ expression: license }];
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: { type: 'library', 'bom-ref': purl, name, version, purl, licenses } },
    components: [
      ...native.map(nativeComponent),
      ...bundled.map((one) => npmComponent(one, 'required')),
      ...optional.map((one) => npmComponent(one, 'optional')),
    ],
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(sbom(), null, 2));
