import type { Interpolation } from '../image/resize/interpolation.js';
import type { Rgb } from '../image/types.js';
import type { SwinArchitecture, VitArchitecture } from './architecture.js';

/** How photos are prepared. */
export interface Preparation {
  /** Side of the centre crop divided by the resized short side. */
  readonly cropPct: number;
  readonly interpolation: Interpolation;
  readonly squash?: boolean;
  readonly mean: Rgb;
  readonly std: Rgb;
}

interface Traits {
  /** Epsilon of LayerNorm, if it differs from the family's. */
  readonly layerNormEps?: number;
}

export type NamedVit = Omit<VitArchitecture, 'name' | 'classes'> & Traits;

export type NamedSwin = Omit<SwinArchitecture, 'name' | 'classes'> & Traits;

/**
 * A row of the table: an architecture, and a preparation for each tag; the first is the default.
 */
export type TimmRow = (NamedVit | NamedSwin) & { readonly tags: Readonly<Record<string, number>> };
