/** Refuses a layer, with what was expected and what was found. */
export type Refuse = (message: string) => never;
