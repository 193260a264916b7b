/** The resize filters, in the order of Pillow's numbers 0 to 3. */
export const INTERPOLATIONS = ['nearest', 'lanczos', 'bilinear', 'bicubic'] as const;
export type Interpolation = (typeof INTERPOLATIONS)[number];
