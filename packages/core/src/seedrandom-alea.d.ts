// The part of seedrandom that is used, alone: a sixth of the whole. @types/seedrandom types only the whole.
declare module "seedrandom/lib/alea.js" {
  import type { PRNG } from "seedrandom";
  export default function alea(seed: string): PRNG;
}
