import { fgsm, pgd } from "@parapet/attacks";
import { createRng, crossEntropy, linear, margin, type Norm, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, assertClose, quadraticModel, researchWeights } from "@parapet/testing";
import { describe, expect, it } from "vitest";

const rng = createRng(0);
const float32 = { absolute: 2 ** -22 };
const wide = { lower: -100, upper: 100 };

/** One class whose logit is <w, x>, another that is 0: climbing it climbs a linear function. */
const linearModel = (w: readonly number[]) => affineModel({ weights: [w.map(() => 0), w], bounds: wide });
/** Climbs the logit of class 1; reached by nobody who starts there. */
const climb = (n = 1) =>
  untargeted(
    new Int32Array(n),
    linear(
      ndArray(
        new Float32Array(2 * n).map((_, i) => i % 2),
        [n, 2],
      ),
    ),
  );

describe("FGSM on the affine classifier of known numbers", () => {
  const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
  const model = affineModel(researchWeights);

  it("starts from the right loss and gradient", async () => {
    const { value, gradient, logits } = await model.gradient(x, crossEntropy([0]));
    assertClose(logits, [2.3, -0.1, -0.5], float32);
    assertClose(value, [0.1410897699], float32);
    assertClose(gradient, [-0.2103691494, -0.2765951965, 0.3419577984], float32);
  });

  it("linf, epsilon 0.1", async () => {
    const { adversarial } = await fgsm({ epsilon: 0.1 })(model, x, untargeted([0]), { rng });
    assertClose(adversarial, [0.5, 0.6, 0.3], float32);
    assertClose(await model.logits(adversarial), [1.9, 0.15, -0.3], float32);
    assertClose(crossEntropy([0]).value(await model.logits(adversarial)), [0.2504295605], float32);
  });

  it("l2, epsilon 0.1", async () => {
    const { adversarial } = await fgsm({ epsilon: 0.1, norm: "l2" })(model, x, untargeted([0]), { rng });
    assertClose(adversarial, [0.5568508913, 0.6432671747, 0.2701394394], float32);
  });

  it("targeted: one step towards class 2 climbs minus its cross-entropy", async () => {
    const { adversarial } = await fgsm({ epsilon: 0.1 })(model, x, targeted([2]), { rng });
    // The gradient is W_2 - sum_k p_k W_k = (-0.7896, -2.7766, 1.7633) up to rounding: signs (-, -, +).
    assertClose(adversarial, [0.5, 0.6, 0.3], float32);
  });

  // The distance to the border is gap / (dual norm of the difference of weights): just below holds, just above falls.
  const borders: [Norm, number][] = [
    ["l2", 0.6145770237],
    ["linf", 0.3692307692],
    ["l1", 0.8],
  ];
  it.each(borders)("%s: PGD finds the border at %f and nothing before", async (norm, border) => {
    // The box of [0, 1] ends where the shortest l1 perturbation does; here it is out of the way.
    const model = affineModel({ ...researchWeights, bounds: { lower: -1, upper: 2 } });
    for (const [factor, found] of [
      [0.999, 0],
      [1.001, 1],
    ] as const) {
      // From x itself the nearest class leads; a random start may climb towards the other one, which is farther.
      const attack = pgd({ norm, epsilon: factor * border, steps: 400, stepSize: border / 50, randomStart: false });
      const { success } = await attack(model, x, untargeted([0], margin([0])), { rng });
      expect(success.data[0]).toBe(found);
    }
  });
});

describe("PGD on functions whose maximum over the ball is known", () => {
  const plain = { randomStart: false } as const;

  it.each([1, 3, 7, 20])("linf: after %i steps of 0.1, x + min(0.1 k, epsilon) sign(w)", async (steps) => {
    const attack = pgd({ ...plain, epsilon: 1, steps, stepSize: 0.1 });
    const { adversarial } = await attack(linearModel([2, -3, 0]), ndArray([0, 0, 0], [1, 3]), climb(), { rng });
    const move = Math.min(0.1 * steps, 1);
    assertClose(adversarial, [move, -move, 0], { absolute: 1e-6 });
  });

  it("l2: w = (3, 4), epsilon 1 gives (0.6, 0.8)", async () => {
    const attack = pgd({ ...plain, norm: "l2", epsilon: 1, steps: 20, stepSize: 0.1 });
    const { adversarial } = await attack(linearModel([3, 4]), ndArray([0, 0], [1, 2]), climb(), { rng });
    assertClose(adversarial, [0.6, 0.8], float32);
  });

  // Radial scaling in place of the Euclidean projection, and g / ||g||_1 in place of the steepest step, stop at
  // (0.571, 0.429) with a gain of 25/7 instead of 4: the defect of a known library.
  it("l1: w = (4, 3), epsilon 1 gives (1, 0), a gain of 4", async () => {
    for (const randomStart of [false, true]) {
      const attack = pgd({ norm: "l1", epsilon: 1, steps: 100, stepSize: 0.05, randomStart });
      const { adversarial } = await attack(linearModel([4, 3]), ndArray([0, 0], [1, 2]), climb(), { rng });
      assertClose(adversarial, [1, 0], { absolute: 1e-6 });
    }
  });

  it("l1: moves on when the steepest coordinate is at its bound", async () => {
    const model = affineModel({
      weights: [
        [0, 0, 0],
        [4, 3, 2],
      ],
      bounds: { lower: 0, upper: 1 },
    });
    const attack = pgd({ ...plain, norm: "l1", epsilon: 1, steps: 1000, stepSize: 0.002 });
    const { adversarial } = await attack(model, ndArray([0.6, 0.5, 0.5], [1, 3]), climb(), { rng });
    // A step along one coordinate shrinks the others by as much in all: it circles within one step's length.
    assertClose(adversarial, [1, 1, 0.6], { absolute: 0.002 });
  });

  it("quadratic: the closest point of the ball to the centre (1, 2)", async () => {
    const model = quadraticModel({
      centres: [
        [0, 0],
        [1, 2],
      ],
      bounds: wide,
    });
    const towards = targeted([1], linear(ndArray([0, 1], [1, 2])));
    const run = async (norm: Norm) =>
      (
        await pgd({ ...plain, norm, epsilon: 1, steps: 500, stepSize: 0.02 })(model, ndArray([0, 0], [1, 2]), towards, {
          rng,
        })
      ).adversarial;
    // A step of fixed length circles the maximum at a distance of at most its length along the sphere.
    assertClose(await run("l2"), [0.4472135955, 0.894427191], { absolute: 1e-4 });
    assertClose(await run("linf"), [1, 1], float32);
  });

  it("is unchanged when inputs, bounds and epsilon are scaled together", async () => {
    const scale = 255;
    const w = [0.3, -0.2, 0.5];
    const model = affineModel({ weights: [[0, 0, 0], w] });
    const scaled = affineModel({ weights: [[0, 0, 0], w.map((v) => v / scale)], bounds: { lower: 0, upper: scale } });
    const x = [0.2, 0.9, 0.4];
    const attack = (epsilon: number) => pgd({ ...plain, epsilon, steps: 10 });
    const small = await attack(0.1)(model, ndArray(x, [1, 3]), climb(), { rng });
    const large = await attack(0.1 * scale)(
      scaled,
      ndArray(
        x.map((v) => v * scale),
        [1, 3],
      ),
      climb(),
      { rng },
    );
    assertClose(
      large.adversarial.data.map((v) => v / scale),
      small.adversarial,
      { absolute: 1e-6 },
    );
  });

  it("adding a constant to all logits changes nothing", async () => {
    const weights = [
      [1, 2, -1],
      [-1, 0.5, 2],
      [0, -1, 1],
    ];
    const run = async (shift: number) => {
      const model = affineModel({ weights, bias: [0.5 + shift, -0.25 + shift, shift] });
      return (await pgd({ epsilon: 0.2, steps: 5 })(model, ndArray([0.6, 0.7, 0.2], [1, 3]), untargeted([0]), { rng }))
        .adversarial;
    };
    assertClose(await run(8), await run(0), { absolute: 1e-6 });
  });
});
