export function sbom(): { components: { name: string; version: string }[] };
