/** A row of codecs/components.json. */
export interface NativeComponent {
  name: string;
  version: string;
  license: string;
  debian: string;
  /** SHA-256 by file name. */
  archives?: Record<string, string>;
  modules?: Record<string, string>;
}
export interface NpmPackage {
  path: string;
  name: string;
  version: string;
  license: string;
}
/** What peers are for, and their older versions that passed the tests. */
export const PEERS: Readonly<Record<string, { use: string; tested: readonly string[] }>>;
export const native: readonly NativeComponent[];
export const bundled: readonly NpmPackage[];
export const optional: readonly NpmPackage[];
export function dependenciesPage(): string;
export function thirdPartyLicenses(): string;
