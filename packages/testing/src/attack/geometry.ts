import { boundsOf, createRng, distance, type NdArray, ndArray, untargeted } from "@parapet/core";
import { assertClose, assertSameBytes } from "../assert.ts";
import { copyOf } from "../classifier/subject.ts";
import { demand } from "../law.ts";
import { affineModel, researchWeights } from "../models/affine.ts";
import { withBounds } from "../models/wrap.ts";
import type { AttackChecks, AttackSubject } from "./subject.ts";

/**
 * How far rounding alone may carry a perturbation out of its ball: x + d is rounded to float32, which moves every feature
 * by at most 2^-24 of its size, and so does the subtraction that measures it; d and epsilon are rounded too. Twice that,
 * over all features, in the norm.
 */
function slack({ norm, x }: AttackSubject, epsilon: number, adversarial: NdArray): number {
  if (norm === "l0") return 0;
  const width = x.data.length / x.shape[0]!;
  const size = adversarial.data.reduce((most, value) => Math.max(most, Math.abs(value)), epsilon);
  return 2 ** -22 * size * (norm === "linf" ? 1 : norm === "l2" ? Math.sqrt(width) : width);
}

/** Where an attack's result may lie. */
export const geometry: AttackChecks = {
  "a result has the inputs' shape and one entry an example everywhere else": async ({ x, goals, run }) => {
    const n = x.shape[0]!;
    for (const goal of goals) {
      const result = await run(goal);
      const expected = [
        ["adversarial", "float32", x.shape],
        ["success", "bool", [n]],
        ["distance", "float32", [n]],
        ["queries", "int32", [n]],
        ["gradients", "int32", [n]],
      ] as const;
      for (const [name, dtype, shape] of expected) {
        const got = result[name];
        demand(
          got.dtype === dtype && got.shape.join() === shape.join(),
          `${name}: expected ${dtype} [${shape}], got ${got.dtype} [${got.shape}]`,
        );
      }
    }
  },

  "inputs and labels stay as they are, and the result is fresh": async ({ x, goals, run }) => {
    for (const goal of goals) {
      const [before, classes] = [copyOf(x), goal.classes.slice()];
      const result = await run(goal);
      assertSameBytes(x, before);
      assertSameBytes(goal.classes, classes);
      result.adversarial.data.fill(0.125);
      assertSameBytes(x, before);
    }
  },

  "a result lies inside the bounds, exactly": async ({ model, x, goals, run }) => {
    const width = x.data.length / x.shape[0]!;
    const { lower, upper } = boundsOf(model.bounds, width);
    for (const goal of goals) demandInside((await run(goal)).adversarial, lower, upper);
  },

  "a result lies inside bounds that differ from feature to feature": async ({ model, x, goals, epsilon, run }) => {
    const width = x.data.length / x.shape[0]!;
    // A feature may leave the range that the examples span by 0, 1/4 or 1/2 of epsilon.
    const columns = Array.from({ length: width }, (_, j) => x.data.filter((_, i) => i % width === j));
    const room = (j: number) => (epsilon * (j % 3)) / 4;
    const lower = Float32Array.from(columns, (column, j) => Math.min(...column) - room(j));
    const upper = Float32Array.from(columns, (column, j) => Math.max(...column) + room(j));
    for (const goal of goals) {
      const { adversarial } = await run(goal, { model: withBounds(model, { lower, upper }) });
      demandInside(adversarial, lower, upper);
    }
  },

  "a result lies inside the ball, to float32 precision": async (subject) => {
    const { x, goals, run, norm } = subject;
    for (const epsilon of [subject.epsilon, subject.epsilon / 64, subject.epsilon * 2]) {
      for (const goal of goals) {
        const { adversarial } = await run(goal, { epsilon });
        const allowed = epsilon + slack(subject, epsilon, adversarial);
        distance(adversarial, x, norm).data.forEach((size, i) => {
          demand(size <= allowed, `row ${i}: expected at most ${epsilon} from the input in ${norm}, got ${size}`);
        });
      }
    }
  },

  "the distance told is the distance of the result": async ({ x, goals, run, norm, epsilon }) => {
    for (const goal of goals) {
      const result = await run(goal);
      assertClose(result.distance, distance(result.adversarial, x, norm), { absolute: 1e-6 * epsilon, relative: 1e-6 });
    }
  },

  "epsilon 0 is the identity": async ({ x, goals, run }) => {
    for (const goal of goals) {
      const result = await run(goal, { epsilon: 0 });
      assertClose(result.adversarial, x);
      assertClose(result.distance, new Float32Array(x.shape[0]!));
    }
  },

  "where the border is near, it is crossed": async ({ make, norm, epsilon }) => {
    if (norm === "l0") return;
    // The research model, stretched so that the border lies at half of epsilon; an attack that does nothing fails here.
    const near = { linf: 2.4 / 6.5, l2: 2.4 / Math.sqrt(15.25), l1: 0.8 }[norm];
    const stretch = epsilon / (2 * near);
    const model = affineModel({
      weights: researchWeights.weights.map((row) => row.map((w) => w / stretch)),
      bias: researchWeights.bias,
      bounds: { lower: -10 * stretch, upper: 10 * stretch },
    });
    const x = ndArray(Float32Array.of(0.6 * stretch, 0.7 * stretch, 0.2 * stretch), [1, 3]);
    const result = await make(epsilon)(model, x, untargeted([0]), { rng: createRng(0) });
    demand(result.success.data[0] === 1, "success: expected 1 at twice the distance of the border, got 0");
    const label = (await model.labels(result.adversarial)).data[0];
    demand(label !== 0, "label of the result: expected another class than 0, got 0");
  },
};

function demandInside(adversarial: NdArray, lower: Float32Array, upper: Float32Array): void {
  adversarial.data.forEach((value, i) => {
    const j = i % lower.length;
    demand(
      value >= lower[j]! && value <= upper[j]!,
      `element ${i}: expected a value in [${lower[j]}, ${upper[j]}], got ${value}`,
    );
  });
}
