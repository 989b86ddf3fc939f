export { accuracy, labelsOf } from "./accuracy.ts";
export { inverseRegularizedIncompleteBeta, regularizedIncompleteBeta, type Tail } from "./beta.ts";
export { checkNumber, expected, type NumberRange, ParapetError } from "./errors.ts";
export { logBeta, logGamma } from "./gamma.ts";
export { targeted, untargeted } from "./goal.ts";
export { boundsOf, checkInput, checkLossRows } from "./input.ts";
export { linearizeByRecompute } from "./linearize.ts";
export { linear, onPart, weightedSum } from "./loss/combine.ts";
export { crossEntropy } from "./loss/cross-entropy.ts";
export { differenceOfLogitsRatio } from "./loss/difference-of-logits-ratio.ts";
export { klDivergence, klDivergenceFrom } from "./loss/kl-divergence.ts";
export type { Goal, Labels, Loss, LossForm } from "./loss/loss.ts";
export { toLabels } from "./loss/loss.ts";
export { margin } from "./loss/margin.ts";
export type {
  AnyNdArray,
  Attack,
  AttackContext,
  AttackResult,
  Bounds,
  CallOptions,
  Classifier,
  DifferentiableClassifier,
  FeatureExtractor,
  GradientResult,
  Graphed,
  Labeler,
  Layered,
  LayerGraph,
  LayerNode,
  Linearization,
  Parameters,
  Progress,
  Snapshot,
  StepOptions,
  StepResult,
  TrainableClassifier,
  TwiceDifferentiable,
} from "./model.ts";
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
export { erf, erfc, normalCdf, normalQuantile } from "./normal.ts";
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
export { createQueue, type Queue } from "./queue.ts";
export { createRng, createSecureRng, exampleKeys, type Rng, type SecureRng } from "./rng.ts";
export { clopperPearson, mean, median, type Rate, wilson } from "./statistics.ts";
