export {
  type AdversarialPatchOptions,
  type AdversarialPatchResult,
  adversarialPatch,
  applyPatch,
  type PatchPlacement,
} from "./adversarial-patch.ts";
export { type ApgdLoss, type ApgdOptions, apgd } from "./apgd.ts";
export {
  type AutoAttackMember,
  type AutoAttackMembersOptions,
  type AutoAttackOptions,
  type AutoAttackVersion,
  autoAttack,
  autoAttackMembers,
} from "./auto-attack.ts";
export { type BoundaryOptions, boundary } from "./boundary.ts";
export { type BpdaOptions, bpda } from "./bpda.ts";
export { type BrendelBethgeOptions, brendelBethge } from "./brendel-bethge.ts";
export { type CarliniWagnerOptions, carliniWagner } from "./carlini-wagner.ts";
export { activeTest } from "./checks/active-test.ts";
export { attackFailure } from "./checks/attack-failure.ts";
export type { CheckSubject, NamedAttack, Probe, TrustCheck, Verdict } from "./checks/check.ts";
export { gradientAgreement } from "./checks/gradient-agreement.ts";
export { gradientFreeStronger } from "./checks/gradient-free-stronger.ts";
export { iterativeWeaker } from "./checks/iterative-weaker.ts";
export { notConverged } from "./checks/not-converged.ts";
export { notMonotone } from "./checks/not-monotone.ts";
export { randomness } from "./checks/randomness.ts";
export { softmaxOutput } from "./checks/softmax-output.ts";
export { transferStronger } from "./checks/transfer-stronger.ts";
export { trustChecks } from "./checks/trust-checks.ts";
export { unbounded } from "./checks/unbounded.ts";
export { zeroGradients } from "./checks/zero-gradients.ts";
export { type CorruptionKind, type CorruptOptions, corrupt, corruptionKinds } from "./corruptions.ts";
export { type DdnOptions, ddn } from "./ddn.ts";
export { type DeepFoolOptions, deepFool } from "./deep-fool.ts";
export { type ElasticNetOptions, elasticNet } from "./elastic-net.ts";
export { type EotOptions, eot } from "./eot.ts";
export { evaluateRobustness } from "./evaluation/evaluate-robustness.ts";
export {
  type Adaptive,
  type AttackEntry,
  type AttackPiece,
  type AttackSummary,
  type Checkpoint,
  type CurvePoint,
  type EvaluationProgress,
  type ExampleRecord,
  type Exhibit,
  type Finding,
  type Json,
  type Outcome,
  type RobustnessEvaluation,
  robustnessEvaluationType,
  type Subject,
} from "./evaluation/evaluation.ts";
export type { EvaluationOptions } from "./evaluation/problem.ts";
export { securityCurve } from "./evaluation/security-curve.ts";
export { toCsv } from "./evaluation/to-csv.ts";
export { type HtmlOptions, toHtml } from "./evaluation/to-html.ts";
export { type FabOptions, fab } from "./fab.ts";
export { type FgsmOptions, fgsm } from "./fgsm.ts";
export { type FmnOptions, fmn } from "./fmn.ts";
export { type GeodaOptions, geoda } from "./geoda.ts";
export { type HopSkipJumpOptions, hopSkipJump } from "./hop-skip-jump.ts";
export { type JsmaOptions, jsma } from "./jsma.ts";
export { type LowProFoolOptions, lowProFool, type TabularFeature } from "./low-pro-fool.ts";
export { type MomentumPgdOptions, momentumPgd } from "./momentum-pgd.ts";
export { type NesOptions, nes } from "./nes.ts";
export { type OnePixelOptions, onePixel } from "./one-pixel.ts";
export { type PgdOptions, pgd } from "./pgd.ts";
export { type PointwiseOptions, pointwise } from "./pointwise.ts";
export type { ImageLayout } from "./shared/image.ts";
export { type SignOptOptions, signOpt } from "./sign-opt.ts";
export { type SimbaOptions, simba } from "./simba.ts";
export { type SpatialOptions, spatial } from "./spatial.ts";
export { type SpsaOptions, spsa } from "./spsa.ts";
export { type SquareOptions, square } from "./square.ts";
export { type TransferOptions, transfer } from "./transfer.ts";
export { applyUniversal, type UniversalOptions, type UniversalResult, universal } from "./universal.ts";
export { type ZooOptions, zoo } from "./zoo.ts";
