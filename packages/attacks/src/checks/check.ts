import {
  type Attack,
  type BallNorm,
  type DifferentiableClassifier,
  type Goal,
  type Labeler,
  type Loss,
  type NdArray,
  type Norm,
  type Rate,
  type Rng,
  regularizedIncompleteBeta,
  untargeted,
  wilson,
} from "@parapet/core";
import type { Finding, Json } from "../evaluation/evaluation.ts";
import { judge, reachOf } from "../evaluation/judge.ts";

/** An attack of an evaluation, with everything filled in. */
export interface NamedAttack {
  readonly name: string;
  readonly attack: Attack;
  readonly goal: (labels: Int32Array) => Goal;
  readonly kind: Goal["kind"];
  readonly norm: BallNorm;
  readonly epsilon: number;
  /** The largest distance that counts. */
  readonly reach: number;
  readonly parameters: Readonly<Record<string, Json>>;
}

/** What a trust check looks at. */
export interface CheckSubject {
  readonly model: Labeler;
  /** Examples that the model answers rightly, at least one; shape [n, ...]. */
  readonly x: NdArray;
  readonly labels: Int32Array;
  /** One random key for each. */
  readonly keys: Uint32Array;
  readonly mask?: NdArray<"bool">;
  readonly norm: BallNorm;
  /** > 0. */
  readonly epsilon: number;
  /** The attacks that are being evaluated. */
  readonly attacks: readonly NamedAttack[];
  /** The check's own random stream. */
  readonly rng: Rng;
  readonly signal?: AbortSignal;
}

/** What a check says of a model and its attacks. */
export type Verdict = Omit<Finding, "name">;

/** A trust check, configured. `run` is pure: what it says depends on the subject alone. */
export interface TrustCheck {
  readonly name: string;
  readonly run: (subject: CheckSubject) => Promise<Verdict>;
}

/** Makes the attack by which a check probes the model, at a radius and with a number of steps. */
export type Probe = (settings: { readonly norm: Norm; readonly epsilon: number; readonly steps: number }) => Attack;

/** Nothing was found. */
export const clear = (says: string, evidence: Finding["evidence"]): Verdict => ({
  flag: false,
  says,
  evidence,
  advice: "",
  adaptive: [],
});

/** The check could not be run. */
export const notRun = (reason: string): Verdict => ({
  flag: null,
  says: reason,
  evidence: {},
  advice: "",
  adaptive: [],
});

/** The model as a white box; undefined where it is none. */
export function whiteBox(model: Labeler): DifferentiableClassifier | undefined {
  return "gradient" in model && "logits" in model ? (model as DifferentiableClassifier) : undefined;
}

/** A white box and a norm with a steepest step, which is what a gradient probe needs; else why not. */
export function probed({ model, norm }: CheckSubject): { model: DifferentiableClassifier; norm: Norm } | string {
  const white = whiteBox(model);
  if (white === undefined) return "The model has no gradients.";
  if (norm === "l0") return "There is no gradient probe for l0.";
  return { model: white, norm };
}

/** Runs an attack on the check's examples; 1 where it breaks one within a radius, by a look of our own. */
export async function brokenBy<M extends Labeler>(
  subject: CheckSubject,
  attack: Attack<M>,
  options: {
    readonly epsilon?: number;
    /** The model that is attacked; default: the subject. What counts is the subject's answer. */
    readonly on?: Labeler;
    readonly loss?: Loss;
    readonly label?: string | number;
  } = {},
): Promise<Uint8Array> {
  const { model, x, labels, keys, norm, rng } = subject;
  const { epsilon = subject.epsilon, on = model, loss, label = "" } = options;
  const { adversarial } = await attack(on as M, x, untargeted(labels, loss), {
    ...contextFor(subject),
    rng: rng.derive(label),
  });
  const call = subject.signal === undefined ? { keys } : { keys, signal: subject.signal };
  const { distance } = await judge(model, x, labels, adversarial, norm, call);
  const reach = reachOf(epsilon, model.bounds);
  return Uint8Array.from(distance, (size) => Number(size <= reach));
}

/** What every call of an attack is told. */
function contextFor({ keys, mask, signal }: CheckSubject) {
  return { keys, ...(mask === undefined ? {} : { mask }), ...(signal === undefined ? {} : { signal }) };
}

/** A number of examples as a rate. */
export function rateOf(marks: ArrayLike<number>): Rate {
  let count = 0;
  for (let i = 0; i < marks.length; i++) count += Number(marks[i] !== 0);
  return wilson(count, marks.length);
}

/** A rate as JSON. */
export const asJson = ({ count, total, rate, low, high }: Rate): Json => ({ count, total, rate, low, high });

/** Two attacks on the same examples, of which the first should not be the stronger one. */
export interface Comparison {
  /** Whether it is, beyond chance. */
  readonly isStronger: boolean;
  readonly evidence: { readonly [name: string]: Json };
}

/**
 * Compares two attacks by the examples that only one of them broke: were they equally strong, each of these would be as
 * likely to be broken by the one as by the other. Stronger, where so many for the first would come up in less than 5 %
 * of draws (the sign test, one-sided; McNemar's exact test).
 */
export function compare(first: Uint8Array, second: Uint8Array): Comparison {
  let [onlyFirst, onlySecond] = [0, 0];
  for (let i = 0; i < first.length; i++) {
    if (first[i]! > second[i]!) onlyFirst++;
    else if (first[i]! < second[i]!) onlySecond++;
  }
  // P(at least onlyFirst heads in onlyFirst + onlySecond tosses), as a beta integral.
  const probability = onlyFirst === 0 ? 1 : regularizedIncompleteBeta(0.5, onlyFirst, onlySecond + 1);
  return {
    isStronger: probability < 0.05,
    evidence: { onlyFirst, onlySecond, probability },
  };
}
