/** How a resize interpolates: the filters that configurations name, Pillow's 0 to 3 in its order. */
export const INTERPOLATIONS = ['nearest', 'lanczos', 'bilinear', 'bicubic'] as const;
export type Interpolation = (typeof INTERPOLATIONS)[number];
