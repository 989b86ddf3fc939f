import type { Attack, BallNorm, DifferentiableClassifier, Goal, Labeler, Progress, Rate } from "@parapet/core";

/** What JSON can hold. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };

/** An attack of an evaluation, with what cannot be read from a function. */
export interface AttackEntry<M extends Labeler = DifferentiableClassifier> {
  readonly attack: Attack<M>;
  /** What it is asked for; default `untargeted(labels)`. Whatever it is, what counts is a wrong answer. */
  readonly goal?: (labels: Int32Array) => Goal;
  /** The ball in which its results count; default: the evaluation's. Infinity: at any distance. */
  readonly norm?: BallNorm;
  readonly epsilon?: number;
  /** Its hyper-parameters as they were given, for the record. */
  readonly parameters?: Readonly<Record<string, Json>>;
}

/** One attack against one example. */
export interface Outcome {
  /** Whether the answer at the returned point is wrong, and the point in the ball; by a look of the evaluation's own. */
  readonly broken: boolean;
  /** How far away the wrong answer lies, in the attack's norm; null where none was found. */
  readonly distance: number | null;
  /** The model's answer at the returned point. */
  readonly answer: number;
  /** Forward and backward passes that the attack spent on the example. */
  readonly queries: number;
  readonly gradients: number;
}

/** One example against all attacks. */
export interface ExampleRecord {
  /** Row of `x`. */
  readonly index: number;
  readonly label: number;
  /** The model's answer to the example itself, and whether it is right. */
  readonly answer: number;
  readonly clean: boolean;
  /** Right, and broken by no attack: the worst case over the attacks. */
  readonly robust: boolean;
  /** The first attack, in their order, that broke it; null where none did or none had to. */
  readonly brokenBy: string | null;
  /** Distance of the nearest wrong answer in the evaluation's norm, 0 where the example itself is one; null: none found. */
  readonly nearest: number | null;
  /** Which attack found the nearest. */
  readonly nearestBy: string | null;
  /** Passes of all attacks together. */
  readonly queries: number;
  readonly gradients: number;
  /** The example's random key: with the evaluation's seed, all that its attacks' randomness depends on. */
  readonly key: number;
  /** In the order of the attacks; null where it was not attacked (wrong already, or broken earlier in a cascade). */
  readonly attacks: readonly (Outcome | null)[];
}

/** What one attack did. */
export interface AttackSummary {
  readonly name: string;
  readonly norm: BallNorm;
  /** null: at any distance. */
  readonly epsilon: number | null;
  readonly goal: "untargeted" | "targeted";
  readonly parameters: Readonly<Record<string, Json>>;
  /** Right under this attack, of all examples; in a cascade, under this one and those before it. */
  readonly accuracy: Rate;
  /** Broken, of the examples that it was run on; null where there were none. What was wrong already is no success. */
  readonly success: Rate | null;
  /** How many examples it was the first to break. */
  readonly first: number;
  /** Median distance over the examples it was run on, failures infinite: null where that is most of them. */
  readonly medianDistance: number | null;
  readonly queries: number;
  readonly gradients: number;
}

/** What a trust check found. */
export interface Finding {
  /** The check. */
  readonly name: string;
  /** Whether there is reason to distrust the figures; null where the check could not be run, which is no pass. */
  readonly flag: boolean | null;
  /** One sentence for people. */
  readonly says: string;
  /** What was measured. */
  readonly evidence: Readonly<Record<string, Json>>;
  /** What to run next; empty where nothing was found. */
  readonly advice: string;
  /** The adaptive attacks of the advice, for programs. */
  readonly adaptive: readonly Adaptive[];
}

/**
 * Adaptive attacks: a logit loss instead of cross-entropy; expectation over transformation; a differentiable stand-in
 * for the preprocessing (or for a saturated output); search without gradients; more steps or restarts; points of
 * another model.
 */
export type Adaptive = "margin" | "eot" | "bpda" | "square" | "stronger" | "transfer";

/** A point of the security curve. */
export interface CurvePoint {
  readonly epsilon: number;
  /** Right at every point that was found within epsilon: an upper bound of the robust accuracy. */
  readonly accuracy: Rate;
}

/** An adversarial example that comes with the evaluation, so that whoever has the model can check it. */
export interface Exhibit {
  readonly index: number;
  readonly attack: string;
  readonly answer: number;
  /** float32 values, little-endian, in the shape of one example; base64. */
  readonly data: string;
}

/** A robustness evaluation: a JSON value, of which `schema/robustness-evaluation.schema.json` is the schema. */
export interface RobustnessEvaluation {
  readonly schema: typeof robustnessEvaluationType;
  /** The model, where the caller said which it is. */
  readonly subject: Subject | null;
  readonly model: {
    readonly inputShape: readonly number[];
    readonly numClasses: number;
    /** One number where it holds for all features; null for infinite. */
    readonly bounds: { readonly lower: readonly (number | null)[]; readonly upper: readonly (number | null)[] };
  };
  readonly data: { readonly examples: number; readonly digest: { readonly sha256: string } };
  readonly threat: { readonly norm: BallNorm; readonly epsilon: number; readonly masked: boolean };
  /** The seed where it was given, and a draw from the random stream by which a seed can be recognised. */
  readonly randomness: { readonly seed: number | string | null; readonly fingerprint: number };
  readonly cascade: boolean;
  readonly confidence: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly command: string | null;
  readonly clean: Rate;
  /** Right, and broken by no attack. */
  readonly robust: Rate;
  readonly attacks: readonly AttackSummary[];
  readonly curve: readonly CurvePoint[];
  readonly checks: readonly Finding[];
  readonly examples: readonly ExampleRecord[];
  readonly exhibits: readonly Exhibit[];
}

/**
 * The type of the evidence, as an in-toto predicate type.
 *
 * @example
 * ```ts
 * import { robustnessEvaluationType } from "@parapet/attacks";
 * console.log(robustnessEvaluationType); // => urn:parapet:evidence:robustness-evaluation:v1
 * ```
 */
export const robustnessEvaluationType = "urn:parapet:evidence:robustness-evaluation:v1";

/** What was evaluated. */
export interface Subject {
  readonly name: string;
  /** Of the model's file, or of its weights. */
  readonly digest: { readonly sha256: string };
}

/** How far an evaluation has come; `done` and `total` count pieces of work. */
export interface EvaluationProgress extends Progress {
  /** The piece that is being worked on. */
  readonly task: string;
}

/** A finished piece of work: plain data, to be written down and given back as `resume`. */
export interface Checkpoint {
  /** A hash of everything that the piece depends on. */
  readonly id: string;
  /** Some of the model's logits: a piece is taken up only for a model that still gives them. */
  readonly witness: readonly number[];
  readonly result: AttackPiece | Finding;
}

/** One attack on some examples. */
export interface AttackPiece {
  readonly outcomes: readonly Outcome[];
  readonly exhibits: readonly Exhibit[];
}
