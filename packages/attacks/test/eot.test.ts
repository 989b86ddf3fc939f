import { eot, pgd } from "@parapet/attacks";
import { createRng, exampleKeys, margin, ndArray, untargeted } from "@parapet/core";
import {
  affineModel,
  assertClose,
  assertSameBytes,
  classifierLaws,
  countingModel,
  noisyModel,
  quadraticModel,
  researchWeights,
  tinyMlp,
} from "@parapet/testing";
import { describe, expect, it } from "vitest";

const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
const keys = Uint32Array.of(5);

describe("the average of a noisy network is a classifier", () => {
  const inputs = ndArray([0.6, 0.7, 0.2, 0.1, 0.5, 0.9, 0.3, 0.3, 0.4], [3, 3]);
  const make = () =>
    eot(
      noisyModel(
        tinyMlp({ inputShape: [3], hidden: 6, numClasses: 3, activation: "tanh", rng: createRng("averaged") }),
        0.1,
      ),
      { samples: 3 },
    );
  for (const law of classifierLaws(make, { inputs, labels: [0, 1, 2], randomised: true }))
    it(law.name, () => law.run());
});

describe("eot", () => {
  it("averages: the error is the noise's over the root of the samples", async () => {
    const model = eot(noisyModel(affineModel(researchWeights), 0.1), { samples: 10_000 });
    const logits = await model.logits(x, { keys });
    // The noise of a logit has standard deviation 0.1 ||W_k|| / 100 <= 0.00245; six of them: false alarms below 1e-8.
    assertClose(logits, [2.3, -0.1, -0.5], { absolute: 6 * 0.00245 });
    const { gradient } = await model.gradient(x, margin([0]), { keys });
    assertClose(gradient, [-2, -1.5, 3], { absolute: 1e-4 });
  });

  it("is one sample of the model's at samples = 1, and the exact mean of the samples it took", async () => {
    const seen: number[] = [];
    const base = noisyModel(
      quadraticModel({
        centres: [
          [0, 0, 0],
          [1, 1, 1],
        ],
      }),
      0.3,
    );
    const watching: typeof base = {
      ...base,
      logits(points, options) {
        seen.push(...options!.keys!);
        return base.logits(points, options);
      },
    };
    const mean = await eot(watching, { samples: 4 }).logits(x, { keys });
    expect(new Set(seen).size).toBe(4);
    const each = await base.logits(ndArray([...x.data, ...x.data, ...x.data, ...x.data], [4, 3]), {
      keys: Uint32Array.from(seen),
    });
    const sum = (k: number) => [0, 1, 2, 3].reduce((total, s) => total + each.data[2 * s + k]!, 0) / 4;
    assertClose(mean, [sum(0), sum(1)], { absolute: 1e-6 });
  });

  it("salted keys give other samples, and no two rows of nearby keys share one", async () => {
    const seen: number[] = [];
    const base = noisyModel(affineModel(researchWeights), 0.1);
    const watching: typeof base = {
      ...base,
      logits(points, options) {
        seen.push(...options!.keys!);
        return base.logits(points, options);
      },
    };
    const model = eot(watching, { samples: 8 });
    // The keys of one example over the steps of an attack, as `run` makes them.
    for (let salt = 0; salt < 50; salt++) {
      await model.logits(x, { keys: Uint32Array.of(5 ^ Math.imul(salt, 0x9e3779b1)) });
    }
    expect(new Set(seen).size).toBe(400); // a chance collision among 400 keys of 32 bits: 2e-5
  });

  it("costs `samples` queries of the model for one of its own", async () => {
    const counting = countingModel(noisyModel(affineModel(researchWeights), 0.05));
    const two = ndArray([0.6, 0.7, 0.2, 0.5, 0.5, 0.5], [2, 3]);
    const attack = pgd({ epsilon: 0.1, steps: 3 });
    const { queries, gradients } = await attack(eot(counting.model, { samples: 7 }), two, untargeted([0, 0]), {
      rng: createRng(0),
    });
    const total = (counts: Int32Array) => counts.reduce((sum, count) => sum + count, 0);
    expect(counting.counts()).toEqual({ queries: 7 * total(queries.data), gradients: 7 * total(gradients.data) });
  });

  it("climbs higher than one noisy gradient a step does, as 200 fresh draws judge", async () => {
    const network = tinyMlp({ inputShape: [20], hidden: 30, numClasses: 3, activation: "tanh", rng: createRng(3) });
    const model = noisyModel(network, 1);
    const draw = createRng("inputs");
    const many = ndArray(
      Float32Array.from({ length: 12 * 20 }, () => draw.next()),
      [12, 20],
    );
    const labels = (await network.labels(many)).data;
    const judge = eot(model, { samples: 200 });
    const attack = pgd({ epsilon: 0.1, steps: 10, randomStart: false });
    const reach = async (attacked: typeof model) => {
      const { adversarial } = await attack(attacked, many, untargeted(labels, margin(labels)), { rng: createRng(0) });
      const logits = await judge.logits(adversarial, { keys: Uint32Array.from(labels, (_, i) => 1000 + i) });
      return margin(labels)
        .value(logits)
        .data.reduce((sum, value) => sum + value / 12, 0);
    };
    const [once, averaged] = [await reach(model), await reach(eot(model, { samples: 20 }))];
    // Measured: -0.347 and -0.288. The seed is fixed, so there are no false alarms.
    expect(averaged).toBeGreaterThan(once + 0.03);
  });

  it("demands keys, and a whole number of samples", async () => {
    const model = eot(noisyModel(affineModel(researchWeights), 0.1));
    await expect(model.logits(x)).rejects.toThrow('"keys" expected 1 random keys, one a row, got undefined');
    expect(() => eot(model, { samples: 0 })).toThrow('"samples" expected a whole number >= 1, got 0');
    const own = exampleKeys(x, Int32Array.of(0));
    assertSameBytes(await model.logits(x, { keys: own }), await model.logits(x, { keys: own }));
  });
});
