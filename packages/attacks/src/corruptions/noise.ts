import type { Rng } from "@parapet/core";
import type { Corruption } from "./picture.ts";

/** Photons that arrive at random: a Poisson number with `photons` expected from a white pixel. */
export const shotNoise: Corruption = ({ planes }, severity, rng) => {
  const photons = [60, 25, 12, 5, 3][severity]!;
  for (const plane of planes) {
    for (let i = 0; i < plane.length; i++) plane[i] = poisson(plane[i]! * photons, rng) / photons;
  }
};

/** A share of the values turns black or white. */
export const impulseNoise: Corruption = ({ planes }, severity, rng) => {
  const share = [0.03, 0.06, 0.09, 0.17, 0.27][severity]!;
  for (const plane of planes) {
    for (let i = 0; i < plane.length; i++) {
      const [hit, white] = [rng.next() < share, rng.next() < 0.5];
      if (hit) plane[i] = Number(white);
    }
  }
};

/** A Poisson number by Knuth's product of uniform ones; for means up to some hundreds. */
function poisson(mean: number, rng: Rng): number {
  const limit = Math.exp(-mean);
  let count = 0;
  for (let product = rng.next(); product > limit; product *= rng.next()) count++;
  return count;
}
