/** What attention codes stand for (attention.scalar.ts). */
export const enum Codes {
  Log2,
  Uniform,
  Eighths,
}
