export function modelsPage(names: typeof import('../src/checkpoint/timm-names.js')): string;
