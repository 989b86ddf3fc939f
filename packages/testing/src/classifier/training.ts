import {
  crossEntropy,
  linear,
  type NdArray,
  type Parameters,
  type Snapshot,
  type StepResult,
  type TrainableClassifier,
  takeRows,
} from "@parapet/core";
import { demand, failureOf, refuses } from "../law.ts";
import { someCotangent } from "./gradient.ts";
import { type Checks, copyOf, largest, reversed, type Subject } from "./subject.ts";

type Learner = Subject<TrainableClassifier>;

/** One step on the fixed batch. */
function step({ model, x, labels, options }: Learner): Promise<StepResult> {
  return model.step(x, crossEntropy(labels), options(x));
}

/** What holds for every model that learns. */
export const training: Checks<TrainableClassifier> = {
  "steps lower the loss on a fixed batch": async (subject) => {
    const first = sum((await step(subject)).value);
    for (let i = 0; i < 20; i++) await step(subject);
    const last = sum((await step(subject)).value);
    demand(last < first, `loss after 20 steps: expected less than ${first}, got ${last}`);
  },

  "a step's value and logits are those of before the update": async (subject) => {
    const { model, x, labels, options, close, same } = subject;
    const loss = crossEntropy(labels);
    const before = await model.gradient(x, loss, options(x, { mode: "training" }));
    const result = await model.step(x, loss, options(x));
    close(result.logits, before.logits);
    same(result.value, loss.value(result.logits));
    demand(result.inputGradient === undefined, "inputGradient: expected none unless asked for");
  },

  "a step's input gradient is the gradient before the step": async ({ model, x, labels, options, close }) => {
    const loss = crossEntropy(labels);
    const { gradient } = await model.gradient(x, loss, options(x, { mode: "training" }));
    const { inputGradient } = await model.step(x, loss, { ...options(x), inputGradient: true });
    demand(inputGradient !== undefined, "inputGradient: expected an array, got none");
    close(inputGradient, gradient);
  },

  "a step is parameterGradients, then apply": async (subject) => {
    const { model, x, labels, options, tolerance } = subject;
    const before = await model.snapshot({ optimizer: true });
    await step(subject);
    const stepped = await model.snapshot();
    await model.restore(before);
    const { gradients } = await model.parameterGradients(x, crossEntropy(labels), options(x));
    await model.apply(gradients);
    const applied = await model.snapshot();
    let moved = 0;
    for (const [name, weight] of stepped.weights) {
      const old = before.weights.get(name)!;
      const other = applied.weights.get(name)!;
      const change = largest({ ...weight, data: weight.data.map((value, i) => value - old.data[i]!) });
      moved = Math.max(moved, change);
      weight.data.forEach((value, i) => {
        const off = Math.abs(value - other.data[i]!);
        const allowed = tolerance * change + 2 ** -22 * Math.abs(value);
        demand(off <= allowed, `${name}[${i}]: step gives ${value}, apply ${other.data[i]}`);
      });
    }
    demand(moved > 0, "no weight moved: nothing was compared");
  },

  "a step follows the gradient of the mean, so a batch given twice counts once": async (subject) => {
    const { model, x, labels, options, close } = subject;
    const loss = crossEntropy(labels);
    const once = await model.parameterGradients(x, loss, options(x));
    const rows = Int32Array.from([...labels.keys(), ...labels.keys()]);
    const double = takeRows(x, rows);
    const twice = await model.parameterGradients(double, loss.take(rows), options(double));
    for (const [name, gradient] of once.gradients) close(twice.gradients.get(name)!, gradient);
  },

  "parameterGradients gives one gradient for each weight, in its shape": async ({ model, x, labels, options }) => {
    const { weights } = await model.snapshot();
    const { gradients } = await model.parameterGradients(x, crossEntropy(labels), options(x));
    const namesOf = (parameters: Parameters) => [...parameters.keys()].sort().join(", ");
    demand(
      namesOf(gradients) === namesOf(weights),
      `gradients: expected for ${namesOf(weights)}, got ${namesOf(gradients)}`,
    );
    for (const [name, { shape }] of weights) {
      const got = gradients.get(name)!.shape;
      demand(got.join() === shape.join(), `${name}: expected shape [${shape}], got [${got}]`);
    }
  },

  "only a step moves weights or buffers": async (subject) => {
    const { model, x, labels, options } = subject;
    await step(subject); // the optimizer's state has come into being
    const before = await model.snapshot({ optimizer: true });
    for (const mode of ["inference", "training"] as const) {
      const given = options(x, { mode });
      await model.logits(x, given);
      await model.labels(x, given);
      await model.gradient(x, crossEntropy(labels), given);
      const pass = await model.linearize(x, given);
      await pass.pullback(someCotangent(labels.length, model.numClasses));
      pass.release();
      await model.parameterGradients(x, crossEntropy(labels), given);
    }
    sameSnapshot(subject, await model.snapshot({ optimizer: true }), before);
  },

  "a restored snapshot answers as it did": async (subject) => {
    const { model, x, options, same } = subject;
    const before = await model.logits(x, options(x));
    const snapshot = await model.snapshot();
    await step(subject);
    const moved = await model.logits(x, options(x));
    demand(
      moved.data.some((value, i) => value !== before.data[i]),
      "a step changed no logit: nothing was compared",
    );
    await model.restore(snapshot);
    same(await model.logits(x, options(x)), before);
  },

  "a snapshot is a copy, both ways": async (subject) => {
    const { model, x, options, same } = subject;
    const before = await model.logits(x, options(x));
    const snapshot = await model.snapshot();
    for (const weight of snapshot.weights.values()) weight.data.fill(0.25);
    same(await model.logits(x, options(x)), before);
    await model.restore(snapshot);
    const quarter = await model.logits(x, options(x));
    for (const weight of snapshot.weights.values()) weight.data.fill(0.5);
    same(await model.logits(x, options(x)), quarter);
  },

  "a snapshot with the optimizer resumes to the same weights": async (subject) => {
    const { model } = subject;
    for (let i = 0; i < 2; i++) await step(subject);
    const start = await model.snapshot({ optimizer: true });
    demand(start.optimizer !== undefined, "optimizer: expected its state in the snapshot, got none");
    for (let i = 0; i < 3; i++) await step(subject);
    const once = await model.snapshot({ optimizer: true });
    await model.restore(start);
    for (let i = 0; i < 3; i++) await step(subject);
    sameSnapshot(subject, await model.snapshot({ optimizer: true }), once);
  },

  "queued steps run in the order of the calls": async (subject) => {
    const { model, x, labels, options } = subject;
    const loss = crossEntropy(labels);
    const batches = Array.from(labels, (_, i) => Int32Array.of(i));
    const stepOn = (rows: Int32Array) => {
      const batch = takeRows(x, rows);
      return model.step(batch, loss.take(rows), options(batch));
    };
    await step(subject);
    const start = await model.snapshot({ optimizer: true });
    for (const rows of batches) await stepOn(rows);
    const serial = await model.snapshot({ optimizer: true });
    await model.restore(start);
    await Promise.all(batches.map(stepOn));
    sameSnapshot(subject, await model.snapshot({ optimizer: true }), serial);
  },

  "a learning rate of 0 moves no weight": async (subject) => {
    const { model, x, labels, options } = subject;
    const { weights } = await model.snapshot();
    await model.step(x, crossEntropy(labels), { ...options(x), learningRate: 0 });
    sameParameters(subject, (await model.snapshot()).weights, weights);
  },

  "a linearization keeps the weights of its forward pass": async (subject) => {
    const { model, x, options, same } = subject;
    const cotangent = someCotangent(x.shape[0]!, model.numClasses);
    const pass = await model.linearize(x, options(x));
    const before = copyOf(await pass.pullback(cotangent));
    await step(subject);
    same(await pass.pullback(cotangent), before);
    pass.release();
    const { gradient } = await model.gradient(x, linear(cotangent), options(x));
    demand(largest(gradient) > 0, "the gradient is zero: nothing was compared");
  },

  "a step that is refused, thrown out of or aborted changes nothing": async (subject) => {
    const { model, x, labels, options } = subject;
    await step(subject);
    const before = await model.snapshot({ optimizer: true });
    const loss = crossEntropy(labels);
    const nan: NdArray = { ...x, data: x.data.map((value, i) => (i === 0 ? Number.NaN : value)) };
    const wrong = crossEntropy(labels.map(() => model.numClasses));
    const { form: _, ...plain } = loss;
    const fail = (): never => {
      throw new Error("thrown by the loss");
    };
    await refuses("step on NaN", () => model.step(nan, loss, options(x)));
    await refuses("step with a label that is no class", () => model.step(x, wrong, options(x)));
    await refuses("step with a loss of n - 1 values", () => model.step(x, crossEntropy(labels.slice(1)), options(x)));
    await failureOf("step with a loss that throws", () => model.step(x, { ...plain, cotangent: fail }, options(x)));
    const signal = AbortSignal.abort(new Error("stop"));
    const error = await failureOf("an aborted step", () => model.step(x, loss, options(x, { signal })));
    demand(error === signal.reason, `step: expected the signal's reason, got ${String(error)}`);
    sameSnapshot(subject, await model.snapshot({ optimizer: true }), before);
    await step(subject);
  },

  "a step does not depend on the order of the rows": async (subject) => {
    const { model, x, labels, options, close } = subject;
    const order = reversed(labels.length);
    const loss = crossEntropy(labels);
    const straight = await model.parameterGradients(x, loss, options(x));
    const turned = takeRows(x, order);
    const back = await model.parameterGradients(turned, loss.take(order), options(turned));
    for (const [name, gradient] of straight.gradients) close(back.gradients.get(name)!, gradient);
  },
};

/** Two snapshots hold the same. */
function sameSnapshot(subject: Pick<Learner, "same">, actual: Snapshot, expected: Snapshot): void {
  for (const part of ["weights", "buffers", "optimizer"] as const) {
    const wanted = expected[part];
    if (wanted === undefined) continue;
    demand(actual[part] !== undefined, `snapshot: expected ${part}, got none`);
    sameParameters(subject, actual[part], wanted);
  }
}

function sameParameters({ same }: Pick<Learner, "same">, actual: Parameters, expected: Parameters): void {
  const names = [...expected.keys()].sort().join(", ");
  const got = [...actual.keys()].sort().join(", ");
  demand(got === names, `parameters: expected ${names}, got ${got}`);
  for (const [name, array] of expected) {
    try {
      same(actual.get(name)!, array);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`);
    }
  }
}

function sum({ data }: NdArray): number {
  return data.reduce((total, value) => total + value, 0);
}
