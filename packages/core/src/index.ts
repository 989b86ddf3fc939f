export { accuracy, labelsOf } from "./accuracy.ts";
export { checkNumber, expected, type NumberRange, ParapetError } from "./errors.ts";
export { targeted, untargeted } from "./goal.ts";
export { boundsOf, checkInput } from "./input.ts";
export { linearizeByRecompute } from "./linearize.ts";
export { linear, onPart, weightedSum } from "./loss/combine.ts";
export { crossEntropy } from "./loss/cross-entropy.ts";
export { differenceOfLogitsRatio } from "./loss/difference-of-logits-ratio.ts";
export { klDivergence, klDivergenceFrom } from "./loss/kl-divergence.ts";
export type { Goal, Labels, Loss, LossForm } from "./loss/loss.ts";
export { toLabels } from "./loss/loss.ts";
export { margin } from "./loss/margin.ts";
export type * from "./model.ts";
export {
  asNdArray,
  concatRows,
  type DataOf,
  type DType,
  type NdArray,
  type NdarrayView,
  ndArray,
  sizeOf,
  takeRows,
  toNdarray,
} from "./ndarray.ts";
export {
  type BallNorm,
  checkNorm,
  distance,
  dualStep,
  type Norm,
  projectOntoBall,
  type Radius,
  sampleInBall,
} from "./norms.ts";
export { createPacer } from "./pacer.ts";
export { createRng, createSecureRng, exampleKeys, type Rng, type SecureRng } from "./rng.ts";
