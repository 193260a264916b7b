/** What every layer has. */
export interface LayerBase<Kind extends string> {
  readonly kind: Kind;
  /** Of the layer, and of the activation that it makes. */
  readonly name: string;
  /** The activations that it reads, all made by earlier layers. */
  readonly reads: readonly string[];
  /** Prefix of its tensors; without it, the name. */
  readonly parameters?: string;
}
