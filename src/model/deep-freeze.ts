/** A deeply frozen copy: the model reads its preprocessing and labels from it. */
export function deepFreeze<T extends object>(value: T): T {
  const copy = structuredClone(value);
  const freeze = (object: object) => {
    for (const child of Object.values(object)) if (typeof child === 'object' && child !== null) freeze(child);
    Object.freeze(object);
  };
  freeze(copy);
  return copy;
}
