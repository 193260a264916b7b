/** How a resize interpolates: the filters that configurations name, Pillow's 0 to 3 in its order. */
export type Interpolation = 'nearest' | 'lanczos' | 'bilinear' | 'bicubic';
export const INTERPOLATIONS: readonly Interpolation[] = ['nearest', 'lanczos', 'bilinear', 'bicubic'];
