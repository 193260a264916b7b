/** Rows of a tile of a linear layer. Threads share rows in groups of this size. */
export const TILE = 4;

export const roundUp = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;
