import {
  type Attack,
  type AttackContext,
  type AttackResult,
  type BallNorm,
  createRng,
  type DifferentiableClassifier,
  type Goal,
  type NdArray,
  targeted,
  untargeted,
} from "@parapet/core";
import { tinyMlp } from "../models/tiny-mlp.ts";

/** What the laws of attacks need to know. */
export interface AttackLawOptions {
  /** The norm in which perturbations stay small. */
  readonly norm: BallNorm;
  /** The radius used in most laws, in units of the inputs; around 0.3 suits the default problem. */
  readonly epsilon: number;
  /** Whether the attack draws random numbers. Default true. */
  readonly random?: boolean;
  /** The kinds of goal it knows. Default both. */
  readonly goals?: readonly Goal["kind"][];
  /** Whether `context.mask` is honoured. Default true. */
  readonly masks?: boolean;
  /** The model attacked. Default: a small random network of 6 features in [0, 1] and 3 classes. */
  readonly model?: () => DifferentiableClassifier | Promise<DifferentiableClassifier>;
  /** `[n, ...inputShape]`, n >= 3, rows all different. Default: 8 rows, some of them at the bounds. */
  readonly inputs?: NdArray;
  /** n true classes. Default: the model's answers, but for one. */
  readonly labels?: readonly number[];
}

/** One attack with a problem to solve: what every law of attacks is given. */
export interface AttackSubject {
  readonly norm: BallNorm;
  readonly epsilon: number;
  readonly random: boolean;
  readonly make: (epsilon: number) => Attack;
  readonly model: DifferentiableClassifier;
  readonly x: NdArray;
  readonly labels: Int32Array;
  /** Every kind of goal the attack knows, for these examples. */
  readonly goals: readonly Goal[];
  /** The attack at `epsilon`, from seed 0 unless the context says otherwise. */
  run(goal: Goal, more?: Partial<AttackContext> & Problem): Promise<AttackResult>;
}

/** What a law may exchange in a run. */
export interface Problem {
  readonly model?: DifferentiableClassifier;
  readonly x?: NdArray;
  readonly epsilon?: number;
}

/** What a law of attacks checks. */
export type AttackCheck = (subject: AttackSubject) => Promise<void>;

/** Checks by the law's name. */
export type AttackChecks = Readonly<Record<string, AttackCheck>>;

/** Puts together what a law is given. */
export async function attackSubject(
  make: (epsilon: number) => Attack,
  options: AttackLawOptions,
): Promise<AttackSubject> {
  const { norm, epsilon, random = true, goals = ["untargeted", "targeted"] } = options;
  const model = await (options.model ?? defaultModel)();
  const x = options.inputs ?? someInputs(model.inputShape);
  const labels = options.labels ? Int32Array.from(options.labels) : await almostRight(model, x);
  const next = labels.map((label) => (label + 1) % model.numClasses);
  return {
    norm,
    epsilon,
    random,
    make,
    model,
    x,
    labels,
    goals: goals.map((kind) => (kind === "untargeted" ? untargeted(labels) : targeted(next))),
    async run(goal, more = {}) {
      const { model: attacked = model, x: inputs = x, epsilon: radius = epsilon, ...context } = more;
      return make(radius)(attacked, inputs, goal, { rng: createRng(0), ...context });
    },
  };
}

function defaultModel(): DifferentiableClassifier {
  return tinyMlp({ inputShape: [6], hidden: 12, numClasses: 3, rng: createRng("the network under attack") });
}

function someInputs(inputShape: readonly number[]): NdArray {
  const rng = createRng("the inputs under attack");
  const width = inputShape.reduce((size, length) => size * length, 1);
  // One in five lies at a bound: that is where clipping goes wrong.
  const draw = () => (rng.next() < 0.2 ? Math.round(rng.next()) : rng.next());
  return { dtype: "float32", shape: [8, ...inputShape], data: Float32Array.from({ length: 8 * width }, draw) };
}

/** The model's answers, but for row 1: an example that is wrong before the attack begins. */
async function almostRight(model: DifferentiableClassifier, x: NdArray): Promise<Int32Array> {
  const { data } = await model.labels(x);
  return data.map((label, i) => (i === 1 ? (label + 1) % model.numClasses : label));
}
