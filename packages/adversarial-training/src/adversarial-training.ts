import {
  type Attack,
  accuracy,
  checkNumber,
  createPacer,
  crossEntropy,
  exampleKeys,
  expected,
  type Labels,
  type Loss,
  mean,
  type NdArray,
  type Rate,
  type Rng,
  type Snapshot,
  type TrainableClassifier,
  takeRows,
  toLabels,
  untargeted,
  wilson,
} from "@parapet/core";
import type { Schedule } from "./schedules.ts";

/** Options of `adversarialTraining`. */
export interface AdversarialTrainingOptions {
  /** The attack on the training data, for a radius: `(epsilon) => pgd({ epsilon, steps: 10 })`. */
  readonly attack: (epsilon: number) => Attack;
  /** The radius to train for, in the units of the model's inputs, or a schedule of it; >= 0. */
  readonly epsilon: number | Schedule;
  /** Passes over the training data. */
  readonly epochs: number;
  /** Examples a step; default 100. The last batch of an epoch is dropped when it is not full. */
  readonly batchSize?: number;
  /** Learning rate, or a schedule of it; default: the optimizer's own. */
  readonly learningRate?: number | Schedule;
  /** What a step minimises on the adversarial examples; default cross-entropy. */
  readonly loss?: (labels: Int32Array) => Loss;
  /** The attack on the validation data after each epoch; stronger than the training attack, or it sees nothing. */
  readonly validationAttack?: Attack;
  /**
   * Stop when the validation accuracy under attack falls this far below the best epoch's: catastrophic overfitting, in
   * which single-step training learns to fool its own attack. In (0, 1], default 0.2. Needs `validationAttack`.
   */
  readonly overfittingDrop?: number;
}

/** Examples with their classes. */
export interface LabelledData {
  /** Shape [n, ...inputShape]. */
  readonly x: NdArray;
  /** n classes. */
  readonly labels: Labels;
}

/** What happened in one epoch. */
export interface EpochReport {
  /** From 1. */
  readonly epoch: number;
  /** Mean loss on the adversarial training examples. */
  readonly loss: number;
  /** Accuracy on the adversarial training examples, as they came. High here and low in validation: overfitting. */
  readonly trainAccuracy: Rate;
  /** On the validation data, where there is any; `attacked` where there is a `validationAttack`. */
  readonly validation?: { readonly clean: Rate; readonly attacked?: Rate };
  /** Time of the epoch, validation included. */
  readonly durationMs: number;
}

/** What `adversarialTraining` tells while it works. */
export type TrainingEvent =
  | {
      readonly kind: "step";
      readonly step: number;
      readonly steps: number;
      readonly epoch: number;
      readonly loss: number;
      readonly epsilon: number;
    }
  | { readonly kind: "epoch"; readonly report: EpochReport }
  /** The best model so far; keep it, and a killed run has lost nothing but the epochs since. */
  | { readonly kind: "checkpoint"; readonly epoch: number; readonly snapshot: Snapshot };

/** What training needs besides the model and the data. */
export interface TrainingContext {
  readonly rng: Rng;
  /** Data that is not trained on; decides which epoch was the best. */
  readonly validation?: LabelledData;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: TrainingEvent) => void;
}

/** What came out. */
export interface AdversarialTrainingResult {
  readonly epochs: readonly EpochReport[];
  /**
   * The epoch whose weights the model has now: the best under attack in validation, the best on clean data where there is
   * no `validationAttack`, or the last where there is no validation.
   */
  readonly bestEpoch: number;
  readonly stopped: "finished" | "catastrophic overfitting";
}

/** A training method, configured. The model is changed. */
export type Training = (
  model: TrainableClassifier,
  data: LabelledData,
  context: TrainingContext,
) => Promise<AdversarialTrainingResult>;

/**
 * Adversarial training: every step attacks its batch, then learns from what the attack made of it,
 * `min_w E[ max_{||d|| <= epsilon} L(f_w(x + d), y) ]`.
 *
 * What it does not stop: attacks in another norm or beyond epsilon, and whatever is not a small perturbation. The figure
 * to trust is accuracy under a stronger attack than the one trained with.
 *
 * @param options - the attack, its radius, epochs, schedules
 * @returns a function that trains a model on data: `x` of shape [n, ...inputShape] and n labels
 * @throws RangeError or TypeError when options or data are out of range
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs";
 * import { adversarialTraining } from "@parapet/adversarial-training";
 * import { fgsm, pgd } from "@parapet/attacks";
 * import { createRng, ndArray } from "@parapet/core";
 * import { fromLayersModel } from "@parapet/tfjs";
 * await tf.setBackend("cpu");
 * const layers = [tf.layers.dense({ inputShape: [2], units: 2, kernelInitializer: "zeros" })];
 * const model = fromLayersModel(tf.sequential({ layers }), {
 *   bounds: { lower: 0, upper: 1 },
 *   optimizer: tf.train.adam(0.1),
 * });
 * const data = { x: ndArray([0.9, 0.1, 0.8, 0.3, 0.1, 0.9, 0.2, 0.7], [4, 2]), labels: [0, 0, 1, 1] };
 * const train = adversarialTraining({
 *   attack: (epsilon) => fgsm({ epsilon, stepSize: 1.25 * epsilon, randomStart: true }),
 *   epsilon: 0.1,
 *   epochs: 20,
 *   batchSize: 4,
 *   validationAttack: pgd({ epsilon: 0.1, steps: 5 }),
 * });
 * const { epochs, bestEpoch } = await train(model, data, { rng: createRng(0), validation: data });
 * console.log(epochs[bestEpoch - 1]!.validation!.attacked!.rate); // => 1
 * ```
 *
 * Source: A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018,
 * https://arxiv.org/abs/1706.06083, equation 2.1; stopping on catastrophic overfitting: E. Wong, L. Rice and
 * J. Z. Kolter, "Fast is better than free", 2020, https://arxiv.org/abs/2001.03994, section 5. Differences from the
 * papers: overfitting is judged on validation data against the best epoch, not on a training batch against the last.
 */
export function adversarialTraining(options: AdversarialTrainingOptions): Training {
  const { attack, epochs, batchSize = 100, loss = crossEntropy, validationAttack, overfittingDrop = 0.2 } = options;
  if (typeof attack !== "function")
    throw new TypeError(expected("attack", "a function from epsilon to an attack", attack));
  checkNumber("epochs", epochs, { min: 1, integer: true });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  checkNumber("overfittingDrop", overfittingDrop, { above: 0, max: 1 });
  const epsilonAt = schedule("epsilon", options.epsilon);
  const rateAt = options.learningRate === undefined ? undefined : schedule("learningRate", options.learningRate);
  epsilonAt(0);

  return async (model, data, { rng, validation, signal, onProgress }) => {
    const labels = toLabels(data.labels);
    const n = checkData("data", data, labels);
    const held = validation && { x: validation.x, labels: toLabels(validation.labels) };
    if (held !== undefined) checkData("validation", held, held.labels);
    const stepsPerEpoch = Math.floor(n / batchSize);
    if (stepsPerEpoch === 0) throw new RangeError(expected("batchSize", `at most the ${n} examples`, batchSize));
    const steps = epochs * stepsPerEpoch;
    const pace = createPacer(signal);
    const abortable = signal === undefined ? {} : { signal };
    const reports: EpochReport[] = [];
    let best: { epoch: number; rate: Rate; snapshot: Snapshot } | undefined;
    let stopped: AdversarialTrainingResult["stopped"] = "finished";

    for (let epoch = 1; epoch <= epochs; epoch++) {
      const start = performance.now();
      const order = shuffled(n, rng.derive("order").derive(epoch));
      let lossSum = 0;
      let right = 0;
      for (let batch = 0; batch < stepsPerEpoch; batch++) {
        await pace();
        const step = (epoch - 1) * stepsPerEpoch + batch;
        const rows = order.subarray(batch * batchSize, (batch + 1) * batchSize);
        const x = takeRows(data.x, rows);
        const y = rows.map((row) => labels[row]!);
        const epsilon = epsilonAt(step / steps);
        const stream = rng.derive("attack").derive(step);
        const { adversarial } = await attack(epsilon)(model, x, untargeted(y), { rng: stream, ...abortable });
        const result = await model.step(adversarial, loss(y), {
          keys: exampleKeys(adversarial, y),
          ...(rateAt === undefined ? {} : { learningRate: rateAt(step / steps) }),
          ...abortable,
        });
        const stepLoss = mean(result.value.data);
        lossSum += stepLoss;
        right += accuracy(result.logits, y).count;
        onProgress?.({ kind: "step", step: step + 1, steps, epoch, loss: stepLoss, epsilon });
      }
      const report: EpochReport = {
        epoch,
        loss: lossSum / stepsPerEpoch,
        trainAccuracy: wilson(right, stepsPerEpoch * batchSize),
        ...(held === undefined ? {} : { validation: await validate(model, held, validationAttack, rng, abortable) }),
        durationMs: performance.now() - start,
      };
      reports.push(report);
      onProgress?.({ kind: "epoch", report });
      if (report.validation === undefined) continue;
      const rate = report.validation.attacked ?? report.validation.clean;
      if (best === undefined || rate.rate > best.rate.rate) {
        best = { epoch, rate, snapshot: await model.snapshot() };
        onProgress?.({ kind: "checkpoint", epoch, snapshot: best.snapshot });
      } else if (validationAttack !== undefined && hasCollapsed(rate, best.rate, overfittingDrop)) {
        stopped = "catastrophic overfitting";
        break;
      }
    }
    if (best !== undefined && best.epoch !== reports.length) await model.restore(best.snapshot);
    return { epochs: reports, bestEpoch: best?.epoch ?? reports.length, stopped };
  };
}

/** Far below the best, and not by the luck of a few examples: the intervals do not meet. */
function hasCollapsed(now: Rate, best: Rate, drop: number): boolean {
  return now.rate < best.rate - drop && now.high < best.low;
}

async function validate(
  model: TrainableClassifier,
  { x, labels }: { readonly x: NdArray; readonly labels: Int32Array },
  attack: Attack | undefined,
  rng: Rng,
  abortable: { readonly signal?: AbortSignal },
): Promise<{ clean: Rate; attacked?: Rate }> {
  const clean = accuracy(await model.labels(x, abortable), labels);
  if (attack === undefined) return { clean };
  // The same starts after every epoch, so that epochs differ by their weights only.
  const { success } = await attack(model, x, untargeted(labels), { rng: rng.derive("validation"), ...abortable });
  return { clean, attacked: wilson(success.data.filter((reached) => reached === 0).length, labels.length) };
}

function schedule(name: string, value: number | Schedule): Schedule {
  if (typeof value === "number") {
    checkNumber(name, value, { min: 0 });
    return () => value;
  }
  if (typeof value !== "function") throw new TypeError(expected(name, "a number or a schedule", value));
  return (progress) => checkNumber(name, value(progress), { min: 0 });
}

function checkData(name: string, { x }: LabelledData, labels: Int32Array): number {
  const n = x.shape[0] ?? 0;
  if (n === 0) throw new RangeError(expected(`${name}.x`, "at least one row", x.shape));
  if (labels.length !== n) throw new TypeError(expected(`${name}.labels`, `${n} classes, one a row`, labels.length));
  return n;
}

function shuffled(n: number, rng: Rng): Int32Array {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = rng.integer(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
