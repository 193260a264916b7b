/** Whether there are Node's own modules: in Node, Deno and Bun. */
export const isNodeLike = () => typeof process !== 'undefined' && process.versions?.node !== undefined;
