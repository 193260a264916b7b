/** The text of src/runtime/kernel-sizes.ts. */
export function kernelSizes(): string;
