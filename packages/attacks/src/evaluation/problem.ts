import {
  type Attack,
  type AttackContext,
  type BallNorm,
  boundsOf,
  checkInput,
  checkNorm,
  checkNumber,
  createRng,
  type DifferentiableClassifier,
  exampleKeys,
  expected,
  type Labeler,
  type Labels,
  type NdArray,
  type Rng,
  sizeOf,
  takeRows,
  toLabels,
  untargeted,
} from "@parapet/core";
import type { NamedAttack, TrustCheck } from "../checks/check.ts";
import { trustChecks } from "../checks/trust-checks.ts";
import { freeFeatures } from "../shared/run.ts";
import { digestOf } from "./bytes.ts";
import type { AttackEntry, Checkpoint, EvaluationProgress, Subject } from "./evaluation.ts";
import { reachOf } from "./judge.ts";

/** What is evaluated, and how. */
export interface EvaluationOptions<M extends Labeler = DifferentiableClassifier> {
  /** The attacks by name, in the order in which they are run; names that are whole numbers would come first. */
  readonly attacks: Readonly<Record<string, Attack<M> | AttackEntry<M>>>;
  /** The ball that an attacker may use: its norm, and its radius in the units of the model's inputs, >= 0. */
  readonly norm: BallNorm;
  readonly epsilon: number;
  /** Where all randomness comes from. */
  readonly rng: Rng;
  /** The seed of `rng`, for the record. */
  readonly seed?: number | string;
  /** 1 where a feature may change; the shape of one example, or of `x`. */
  readonly mask?: NdArray<"bool">;
  /** Run each attack only on what those before it did not break. Cheaper; distances are found for fewer. Default false. */
  readonly cascade?: boolean;
  /** Trust checks; default `trustChecks()`, false for none. */
  readonly checks?: readonly TrustCheck[] | false;
  /** How many examples, the first ones that are answered rightly, the checks may use; default 32. */
  readonly checkExamples?: number;
  /** Radii of the security curve; default: eleven up to epsilon, four more up to 2 epsilon where something was found there. */
  readonly radii?: readonly number[];
  /** Adversarial examples that are kept in the result, the first ones; default 8. */
  readonly exhibits?: number;
  /** Of all intervals, in (0, 1); default 0.95. */
  readonly confidence?: number;
  /** Examples in one piece of work; default 128. No effect on the result. */
  readonly batchSize?: number;
  /** Which model this is, versions of what was used, and the command that repeats the evaluation: for the record. */
  readonly subject?: Subject;
  readonly versions?: Readonly<Record<string, string>>;
  readonly command?: string;
  /** Finished pieces of an evaluation that was interrupted. Those that do not belong to this one are passed over. */
  readonly resume?: Iterable<Checkpoint>;
  /** Called with each piece as it is finished, and awaited. */
  readonly onCheckpoint?: (piece: Checkpoint) => void | Promise<void>;
  readonly onProgress?: (event: EvaluationProgress) => void;
  /** Stops the evaluation; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A checked evaluation, without the model: what one thread and many have in common. */
export interface Problem {
  readonly about: Pick<Labeler, "inputShape" | "numClasses" | "bounds">;
  readonly x: NdArray;
  readonly labels: Int32Array;
  readonly keys: Uint32Array;
  readonly norm: BallNorm;
  readonly epsilon: number;
  /** The largest distance that counts. */
  readonly reach: number;
  readonly attacks: readonly NamedAttack[];
  readonly checks: readonly TrustCheck[];
  readonly rng: Rng;
  readonly seed: number | string | null;
  readonly mask: NdArray<"bool"> | undefined;
  readonly cascade: boolean;
  readonly batchSize: number;
  readonly checkExamples: number;
  readonly exhibits: number;
  readonly radii: readonly number[] | undefined;
  readonly confidence: number;
  readonly digest: string;
}

/** What of the options the work depends on. */
export type ProblemOptions = Omit<EvaluationOptions, "subject" | "versions" | "command" | "resume" | "onCheckpoint">;

/** Checks what the caller gave. */
export async function problemOf(
  about: Pick<Labeler, "inputShape" | "numClasses" | "bounds">,
  input: NdArray,
  given: Labels,
  options: ProblemOptions,
): Promise<Problem> {
  const x = checkInput(about as Labeler, input);
  const labels = toLabels(given);
  const n = x.shape[0]!;
  if (labels.length !== n) throw new TypeError(expected("labels", `${n} classes, one a row`, labels.length));
  for (const label of labels) {
    if (label >= about.numClasses) throw new RangeError(expected("labels", `classes below ${about.numClasses}`, label));
  }
  const { norm, epsilon, attacks, rng, seed = null, mask, cascade = false, radii, confidence = 0.95 } = options;
  if (norm !== "l0") checkNorm(norm);
  checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("confidence", confidence, { above: 0, below: 1 });
  if (typeof rng?.derive !== "function") throw new TypeError(expected("rng", "an Rng, such as createRng(seed)", rng));
  if (seed !== null && fingerprintOf(createRng(seed)) !== fingerprintOf(rng)) {
    throw new RangeError(expected("seed", "the seed of rng", seed));
  }
  freeFeatures(mask, n, sizeOf(about.inputShape));
  radii?.forEach((radius, i) => {
    checkNumber(`radii[${i}]`, radius, { min: 0 });
  });
  const { checks = trustChecks() } = options;
  return {
    about: { inputShape: about.inputShape, numClasses: about.numClasses, bounds: about.bounds },
    x,
    labels,
    keys: exampleKeys(x, labels),
    norm,
    epsilon,
    reach: reachOf(epsilon, about.bounds),
    attacks: namedAttacks(attacks, labels, norm, epsilon, about.bounds),
    checks: checks === false ? [] : checks,
    rng,
    seed,
    mask,
    cascade,
    batchSize: checkNumber("batchSize", options.batchSize ?? 128, { min: 1, integer: true }),
    checkExamples: checkNumber("checkExamples", options.checkExamples ?? 32, { min: 1, integer: true }),
    exhibits: checkNumber("exhibits", options.exhibits ?? 8, { min: 0, integer: true }),
    radii,
    confidence,
    digest: await digestOf(x, labels),
  };
}

/** A draw by which a random stream, and with it a seed, can be recognised. */
export const fingerprintOf = (rng: Rng): number => rng.derive("evaluation").derive("fingerprint").next();

function namedAttacks(
  attacks: EvaluationOptions["attacks"],
  labels: Int32Array,
  norm: BallNorm,
  epsilon: number,
  bounds: Labeler["bounds"],
): readonly NamedAttack[] {
  const names = Object.keys(attacks ?? {});
  if (names.length === 0) throw new RangeError(expected("attacks", "at least one attack", attacks));
  return names.map((name) => {
    const value = attacks[name]!;
    const entry = typeof value === "function" ? { attack: value } : value;
    if (typeof entry?.attack !== "function") {
      throw new TypeError(expected(`attacks.${name}`, "an attack, or { attack, ... }", value));
    }
    const own = { norm: entry.norm ?? norm, epsilon: entry.epsilon ?? epsilon };
    if (own.norm !== "l0") checkNorm(own.norm);
    if (own.epsilon !== Number.POSITIVE_INFINITY) checkNumber(`attacks.${name}.epsilon`, own.epsilon, { min: 0 });
    const goal = entry.goal ?? untargeted;
    return {
      name,
      attack: entry.attack,
      goal,
      kind: goal(labels).kind,
      ...own,
      reach: reachOf(own.epsilon, bounds),
      parameters: entry.parameters ?? {},
    };
  });
}

/** What an attack is told, for some rows. */
export function contextOf(
  { keys, mask, x }: Pick<Problem, "keys" | "mask" | "x">,
  rows: readonly number[],
  rng: Rng,
  signal: AbortSignal | undefined,
): AttackContext {
  // A mask of one example goes as it is; one of all loses the rows that are not asked about.
  const own =
    mask === undefined || mask.data.length !== x.data.length
      ? mask
      : takeRows<"bool">({ dtype: "bool", shape: x.shape, data: mask.data }, rows);
  return {
    rng,
    keys: Uint32Array.from(rows, (row) => keys[row]!),
    ...(own === undefined ? {} : { mask: own }),
    ...(signal === undefined ? {} : { signal }),
  };
}

/** Bounds as JSON: one number where all are equal, null for infinite. */
export function boundsAsJson({ inputShape, bounds }: Problem["about"]) {
  const { lower, upper } = boundsOf(bounds, sizeOf(inputShape));
  const plain = (values: Float32Array) => {
    const same = values.every((value) => value === values[0]);
    return Array.from(same ? values.slice(0, 1) : values, (value) => (Number.isFinite(value) ? value : null));
  };
  return { lower: plain(lower), upper: plain(upper) };
}
