export const roundUp = (value: number, multiple: number) => Math.ceil(value / multiple) * multiple;
