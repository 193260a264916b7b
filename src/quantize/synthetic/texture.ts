import type { Dice } from './dice.js';

/** Side of a texture in pixels. It tiles without a seam. */
export const TEXTURE = 256;

/**
 * Noise of several octaves: grids of random values, each twice as fine as the one before and `gain`
 * times as strong, with smooth transitions between their points. Float32 `[256, 256]` of mean 0 and
 * deviation 1.
 */
export function noiseTexture(dice: Dice): Float32Array {
  const texture = new Float32Array(TEXTURE ** 2);
  const gain = dice.between(0.4, 0.8);
  let strength = 1;
  for (let cells = 1 + dice.below(12); cells < TEXTURE / 1.5; cells *= 2) {
    addOctave(texture, cells, strength, dice);
    strength *= gain;
  }
  return standardised(texture);
}

function addOctave(texture: Float32Array, cells: number, strength: number, dice: Dice): void {
  const grid = Float32Array.from({ length: cells ** 2 }, () => dice.between(-strength, strength));
  const steps = Array.from({ length: TEXTURE }, (_, i) => {
    const at = (i * cells) / TEXTURE;
    const from = Math.floor(at);
    const t = at - from;
    return { from, to: (from + 1) % cells, share: t * t * (3 - 2 * t) };
  });
  const line = new Float32Array(cells);
  for (let y = 0; y < TEXTURE; y++) {
    const { from, to, share } = steps[y]!;
    for (let i = 0; i < cells; i++) line[i] = between(grid[from * cells + i]!, grid[to * cells + i]!, share);
    for (let x = 0; x < TEXTURE; x++) {
      const { from, to, share } = steps[x]!;
      texture[y * TEXTURE + x]! += between(line[from]!, line[to]!, share);
    }
  }
}

function between(a: number, b: number, share: number): number {
  return a + (b - a) * share;
}

function standardised(values: Float32Array): Float32Array {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  const deviation = Math.sqrt(squares / values.length - mean * mean);
  return values.map((value) => (value - mean) / deviation);
}
