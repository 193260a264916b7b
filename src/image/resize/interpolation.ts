/** The filter of a resize. Configurations also name it by its number in Pillow, 0 to 3. */
export type Interpolation = 'nearest' | 'lanczos' | 'bilinear' | 'bicubic';
/** In the order of Pillow's numbers. */
export const INTERPOLATIONS: readonly Interpolation[] = ['nearest', 'lanczos', 'bilinear', 'bicubic'];
