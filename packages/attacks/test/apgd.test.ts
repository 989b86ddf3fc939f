import { type ApgdOptions, apgd } from "@parapet/attacks";
import {
  createRng,
  differenceOfLogitsRatio,
  margin,
  type Norm,
  ndArray,
  type Rng,
  takeRows,
  targeted,
  untargeted,
} from "@parapet/core";
import {
  affineModel,
  assertClose,
  attackLaws,
  noisyModel,
  researchWeights,
  scaledLogits,
  tinyMlp,
} from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { apgdCheckpoints, climb } from "../src/shared/apgd-climb.ts";
import { projectOntoL1BallAndBox } from "../src/shared/l1-box.ts";
import { openRun, range } from "../src/shared/run.ts";
import { labels, paddedDigits, paddedModel } from "./helpers/padded-digits.ts";
import reference from "./vectors/autoattack.json" with { type: "json" };

const ratio = "difference-of-logits-ratio";
const targetedRatio = "targeted-difference-of-logits-ratio";
const kinds = {
  "linf, cross-entropy": { norm: "linf", steps: 6 },
  "linf, the goal's loss, restarts, two draws, batches of 3": {
    norm: "linf",
    steps: 6,
    loss: "goal",
    restarts: 2,
    samples: 2,
    batchSize: 3,
  },
  "l2, ratio": { norm: "l2", steps: 6, loss: ratio },
  "l2, targeted ratio": { norm: "l2", steps: 6, loss: targetedRatio },
  "l1, cross-entropy": { norm: "l1", steps: 8 },
  "l1, targeted ratio, wider balls first": { norm: "l1", steps: 8, loss: targetedRatio, widerFirst: true },
} as const;
for (const [name, options] of Object.entries(kinds)) {
  describe(`apgd obeys the laws: ${name}`, () => {
    const make = (epsilon: number) => apgd({ ...options, epsilon });
    for (const law of attackLaws(make, { norm: options.norm, epsilon: 0.3 })) it(law.name, () => law.run());
  });
}

const rng = createRng(0);
const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
const research = affineModel(researchWeights);
const borders: readonly (readonly [Norm, number])[] = [
  ["l2", 0.6145770237],
  ["linf", 0.3692307692],
  ["l1", 0.8],
];

describe("apgd on linear classifiers", () => {
  describe.each(borders)("%s: the border at %f is found, and nothing before", (norm, border) => {
    it.each(["cross-entropy", ratio, targetedRatio, "goal"] as const)("%s", async (loss) => {
      // The box ends where the shortest l1 perturbation does; here it is out of the way.
      const model = affineModel({ ...researchWeights, bounds: { lower: -1, upper: 2 } });
      const run = async (factor: number) =>
        (await apgd({ norm, loss, epsilon: factor * border })(model, x, untargeted([0]), { rng })).success.data[0];
      // Cross-entropy looks at all classes; its best point in the round ball is not quite the one nearest to the border.
      const far = norm === "l2" && (loss === "cross-entropy" || loss === "goal") ? 1.05 : 1.002;
      expect([await run(0.999), await run(far)]).toEqual([0, 1]);
    });
  });

  // Class 2 is reached within 0.7, only where class 1, which is nearer, is kept below it. The second classifier has a class
  // that is never the answer, so that the ratio is defined; class 2 is the third from the start, where minus the plain
  // ratio would be constant.
  it.each([3, 4])("a targeted goal is that class, by every loss, with %i classes", async (numClasses) => {
    const { weights, bias } = researchWeights;
    const model = numClasses === 3 ? research : affineModel({ weights: [...weights, [0, 0, 0]], bias: [...bias, -3] });
    for (const loss of ["cross-entropy", ratio, targetedRatio] as const) {
      const { adversarial, success } = await apgd({ epsilon: 0.9, loss })(model, x, targeted([2]), { rng });
      expect([loss, success.data[0]]).toEqual([loss, 1]);
      expect((await model.labels(adversarial)).data[0]).toBe(2);
    }
  });

  it("costs what it says: one look, a gradient at the start and one a step, one look at the best", async () => {
    const run = async (options: Partial<ApgdOptions>) => {
      const { queries, gradients } = await apgd({ epsilon: 0.1, ...options })(research, x, untargeted([0]), { rng });
      return [queries.data[0], gradients.data[0]];
    };
    expect(await run({})).toEqual([103, 101]);
    expect(await run({ steps: 10, restarts: 2, samples: 3 })).toEqual([1 + 2 * 34, 66]);
    // 3 classes: two others, though 9 are asked for.
    expect(await run({ steps: 10, loss: targetedRatio })).toEqual([1 + 2 * 12, 22]);
    expect(await run({ steps: 10, norm: "l1", widerFirst: true })).toEqual([1 + 14, 13]);
  });

  it("leaves an example that is wrong already where it is, after one look", async () => {
    const { distance, queries, success } = await apgd({ epsilon: 0.3 })(research, x, untargeted([1]), { rng });
    expect([distance.data[0], queries.data[0], success.data[0]]).toEqual([0, 1, 1]);
  });
});

describe("few classes, where the ratio is undefined and a known library ends with an index error", () => {
  it.each([2, 3, 4])("%i classes", async (numClasses) => {
    const model = tinyMlp({ inputShape: [4], hidden: 8, numClasses, rng: createRng("few") });
    const inputs = ndArray(
      Array.from({ length: 20 }, (_, i) => (i * 0.37) % 1),
      [5, 4],
    );
    const labels = (await model.labels(inputs)).data;
    for (const loss of [ratio, targetedRatio] as const) {
      for (const goal of [untargeted(labels), targeted(labels.map((label) => (label + 1) % numClasses))]) {
        const { success } = await apgd({ epsilon: 1, steps: 20, loss })(model, inputs, goal, { rng });
        // Nothing is out of reach in the whole box, but a class that is never the answer.
        if (goal.kind === "untargeted") expect(success.data.includes(1)).toBe(true);
      }
    }
  });
});

describe("losses that saturate", () => {
  const masked = scaledLogits(research);
  it.each([
    [{ loss: "cross-entropy" }, undefined, 0],
    [{ loss: ratio }, undefined, 1],
    [{ loss: targetedRatio }, undefined, 1],
    // The option says whose loss is climbed: without "goal", the goal's own is not used.
    [{ loss: "goal" }, margin([0]), 1],
    [{ loss: "cross-entropy" }, margin([0]), 0],
  ] as const)("%o, %o", async (options, loss, found) => {
    const goal = untargeted([0], loss);
    const { success } = await apgd({ ...options, epsilon: 0.38 })(masked, x, goal, { rng });
    expect(success.data[0]).toBe(found);
  });
});

describe("randomised models", () => {
  it("every draw has another key, none of them the one by which success is judged", async () => {
    const noisy = noisyModel(research, 0.01);
    const seen: number[] = [];
    const watching: typeof noisy = {
      ...noisy,
      gradient(points, loss, options) {
        seen.push(...options!.keys!);
        return noisy.gradient(points, loss, options);
      },
    };
    const options = { epsilon: 0.1, steps: 5, samples: 4, restarts: 2, loss: targetedRatio } as const;
    await apgd(options)(watching, x, untargeted([0]), { rng, keys: Uint32Array.of(7) });
    expect(seen.length).toBe(4 * 6 * 2 * 2);
    expect(new Set([...seen, 7]).size).toBe(seen.length + 1);
  });
});

describe("the pieces are the reference's", () => {
  const { pieces } = reference;

  it("checkpoints", () => {
    expect(apgdCheckpoints(100)).toEqual([22, 41, 57, 70, 80, 87, 93, 99]);
    expect(apgdCheckpoints(50)).toEqual([11, 21, 30, 38, 45]);
    for (const [steps, checkpoints] of Object.entries(pieces.checkpoints)) {
      expect(apgdCheckpoints(Number(steps))).toEqual(checkpoints);
    }
  });

  it.each([0, 1, 2])("projection onto l1 ball and box %i", (i) => {
    const { perturbations, radii, projected } = pieces.l1Ball;
    const lower = new Float32Array(12);
    const upper = new Float32Array(12).fill(1);
    perturbations.forEach((perturbation, row) => {
      const d = Float64Array.from(perturbation);
      projectOntoL1BallAndBox(d, Float32Array.from(pieces.x[row]!), 0, lower, upper, radii[i]!);
      assertClose(d, projected[i]![row]!, { absolute: 2e-6 });
    });
  });

  it("projection onto l1 ball and box: ball, box and the example itself", () => {
    const project = (values: number[], radius: number, upper = 10) => {
      const d = Float64Array.from(values);
      projectOntoL1BallAndBox(
        d,
        new Float32Array(3),
        0,
        new Float32Array(3).fill(-10),
        new Float32Array(3).fill(upper),
        radius,
      );
      return [...d];
    };
    assertClose(project([3, 1, -2], 2), [1.5, 0, -0.5], { absolute: 1e-12 });
    assertClose(project([0.5, -0.5, 0], 2), [0.5, -0.5, 0], { absolute: 1e-12 });
    // The first entry has no more room than 1: what it may not use, the others keep.
    assertClose(project([3, 1, -2], 2, 1), [1, 0, -1], { absolute: 1e-12 });
    expect(project([3, 1, -2], 0)).toEqual([0, 0, 0]);
  });

  it("difference of logits ratio", () => {
    const { logits, labels, targets, untargeted: plain, targeted: one } = pieces.ratio;
    const rows = ndArray(logits.flat(), [labels.length, 6]);
    assertClose(differenceOfLogitsRatio(labels).value(rows), plain, { absolute: 2e-6 });
    assertClose(differenceOfLogitsRatio(labels, targets).value(rows), one, { absolute: 2e-6 });
  });
});

describe.each(["linf", "l2", "l1"] as const)("the path is the reference's, step by step: %s", (norm) => {
  const { epsilon, held, loss } = reference.paths[norm];
  const inputs = takeRows(paddedDigits, range(0, 12));
  const goal = untargeted(labels.slice(0, 12));
  // Every draw is the middle, so that the start is the example itself.
  const still: Rng = { next: () => 0.5, normal: () => 0, integer: () => 0, derive: () => still };

  it("reaches the same loss, of every digit", async () => {
    const run = openRun<typeof paddedModel>("path", paddedModel, inputs, goal, { rng: still });
    const phases = [
      { epsilon: 3 * epsilon, steps: 15 },
      { epsilon: 2 * epsilon, steps: 15 },
      { epsilon, steps: 20 },
    ];
    const result = await climb(run, range(0, 12), {
      norm,
      phases: norm === "l1" ? phases : [{ epsilon, steps: 50 }],
      rho: 0.75,
      samples: 1,
      lossOf: (rows) => goal.loss.take(rows),
      free: undefined,
      rng: () => still,
      salt: 1,
      reached: () => {},
      progress: () => {},
    });
    expect([...result.rows]).toEqual(held.flatMap((flag, row) => (flag === 1 ? [row] : [])));
    const best = ndArray(result.best, inputs.shape);
    assertClose(goal.loss.value(await paddedModel.logits(best)), loss, { relative: 1e-3 });
  });
});

describe("apgd refuses options that make no sense", () => {
  it.each([
    [{ epsilon: -1 }, '"epsilon" expected a number >= 0, got -1'],
    [{ epsilon: 1, steps: 0 }, '"steps" expected a whole number >= 1, got 0'],
    [{ epsilon: 1, rho: 2 }, '"rho" expected a number >= 0 and <= 1, got 2'],
    [{ epsilon: 1, targets: 0 }, '"targets" expected a whole number >= 1, got 0'],
    [{ epsilon: 1, samples: 1.5 }, '"samples" expected a whole number >= 1, got 1.5'],
    [{ epsilon: 1, loss: "dlr" }, '"loss" expected "cross-entropy", '],
    [{ epsilon: 1, widerFirst: true }, '"widerFirst" expected false unless norm is "l1", got true'],
  ])("%o", (options, message) => {
    expect(() => apgd(options as ApgdOptions)).toThrow(message);
  });
});
