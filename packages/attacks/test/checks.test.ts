import type { Adaptive, Finding } from "@parapet/attacks";
import {
  activeTest,
  attackFailure,
  eot,
  evaluateRobustness,
  gradientAgreement,
  iterativeWeaker,
  notConverged,
  notMonotone,
  pgd,
  randomness,
  square,
  transferStronger,
  trustChecks,
} from "@parapet/attacks";
import {
  type Attack,
  createRng,
  type DifferentiableClassifier,
  margin,
  type NdArray,
  ndArray,
  untargeted,
} from "@parapet/core";
import { affineModel, quantisedInput, scaledLogits } from "@parapet/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { brokenDefences } from "../../../tests/helpers/broken-defences.ts";
import { type CheckSubject, compare, type NamedAttack, type TrustCheck } from "../src/checks/check.ts";
import { pictures, side, trained } from "./helpers/toy.ts";

const epsilon = 0.15;
const seeds = [0, 1, 2, 3, 4];
const { x, labels } = pictures(0, 30);
const models: { usual: DifferentiableClassifier; hardened: DifferentiableClassifier }[] = [];

beforeAll(async () => {
  for (const seed of seeds) {
    models.push({ usual: await trained(seed), hardened: await trained(seed, { hardened: epsilon }) });
  }
}, 60_000);

const evaluated = (model: DifferentiableClassifier, seed: number, attack = pgd({ epsilon })) =>
  evaluateRobustness(model, x, labels, {
    attacks: { pgd: attack },
    norm: "linf",
    epsilon,
    rng: createRng(seed),
    seed,
    checkExamples: 16,
    checks: trustChecks({ surrogate: models[(seed + 1) % seeds.length]!.usual }),
  });
const flagged = (checks: readonly Finding[]) => checks.filter(({ flag }) => flag !== false).map(({ name }) => name);

describe("an honest model raises no flag, in 5 of 5 seeds", () => {
  it.each(seeds)("as trained in the usual way, seed %i", async (seed) => {
    const { checks, clean, robust } = await evaluated(models[seed]!.usual, seed);
    expect(flagged(checks)).toEqual([]);
    expect(clean.rate).toBeGreaterThan(0.95);
    expect(robust.rate).toBeLessThan(0.3);
  });

  it.each(seeds)("hardened by adversarial training, seed %i", async (seed) => {
    const { checks, clean, robust } = await evaluated(models[seed]!.hardened, seed);
    expect(flagged(checks)).toEqual([]);
    expect(clean.rate).toBeGreaterThan(0.95);
    expect(robust.rate).toBeGreaterThan(0.5);
  });
});

/** What a reader of the report would run: each of these on the model, or on the stand-in that its maker writes down. */
const adaptiveAttacks: Partial<
  Record<
    Adaptive,
    (defence: { model: DifferentiableClassifier; standIn: DifferentiableClassifier }) => {
      readonly on: DifferentiableClassifier;
      readonly judge: DifferentiableClassifier;
      readonly attack: Attack;
    }
  >
> = {
  margin: ({ model }) => ({ on: model, judge: model, attack: pgd({ epsilon }) }),
  square: ({ model }) => ({ on: model, judge: model, attack: square({ epsilon, queries: 500 }) }),
  bpda: ({ model, standIn }) => ({ on: standIn, judge: model, attack: pgd({ epsilon }) }),
  eot: ({ model }) => ({
    on: eot(model, { samples: 16 }),
    judge: eot(model, { samples: 64 }),
    attack: pgd({ epsilon, steps: 20 }),
  }),
};

const expectations = {
  "scaled logits": { check: "zero gradients", adaptive: "margin" },
  "quantised input": { check: "gradients against differences", adaptive: "bpda" },
  "random noise": { check: "randomness", adaptive: "eot" },
  "saturated softmax": { check: "softmax output", adaptive: "bpda" },
  "stochastic dropout": { check: "randomness", adaptive: "eot" },
  "JPEG-like preprocessing": { check: "gradients against differences", adaptive: "bpda" },
} as const;

describe.each(Object.entries(expectations))(
  "%s is flagged and then broken, in 5 of 5 seeds",
  (name, { check, adaptive }) => {
    it.each(seeds)("seed %i", async (seed) => {
      const defence = brokenDefences[name]!(models[seed]!.usual, side);
      const { checks, robust, clean } = await evaluated(defence.model, seed);
      const finding = checks.find((each) => each.name === check)!;
      expect(finding.flag).toBe(true);
      // The adaptive attack is the first that the report names.
      expect(finding.adaptive[0]).toBe(adaptive);
      expect(finding.advice).not.toBe("");
      const { on, judge, attack } = adaptiveAttacks[adaptive]!(defence);
      const { adversarial } = await attack(on, x, untargeted(labels, margin(labels)), { rng: createRng(seed) });
      const keys = Uint32Array.from(labels, (_, i) => 977 * i + seed);
      const answers = (await judge.labels(adversarial, { keys })).data;
      const right = labels.filter((label, i) => answers[i] === label).length;
      expect(right / labels.length).toBeLessThan(0.3);
      // What hides gradients looked robust before. Noise does not hide them; it only has to be averaged.
      if (adaptive !== "eot") expect(robust.rate).toBeGreaterThan(0.9 * clean.rate);
    });
  },
);

describe("single checks", () => {
  /** Class 1 where the first feature exceeds 1/2. */
  const model = affineModel({
    weights: [
      [0, 0],
      [2, 0],
    ],
    bias: [0, -1],
  });
  const n = 8;
  const subjectOf = (tested: DifferentiableClassifier, extra: Partial<CheckSubject> = {}): CheckSubject => ({
    model: tested,
    x: ndArray(
      Float32Array.from({ length: 2 * n }, (_, i) => (i % 2 === 0 ? 0.6 + i / 100 : 0.5)),
      [n, 2],
    ),
    labels: new Int32Array(n).fill(1),
    keys: Uint32Array.from({ length: n }, (_, i) => i),
    norm: "linf",
    epsilon: 0.3,
    attacks: [],
    rng: createRng(1),
    ...extra,
  });
  const named = (attack: Attack, name = "attack"): NamedAttack => ({
    name,
    attack,
    goal: (given) => untargeted(given),
    kind: "untargeted",
    norm: "linf",
    epsilon: 0.3,
    reach: 0.300001,
    parameters: {},
  });
  const flag = async (check: TrustCheck, subject: CheckSubject) => (await check.run(subject)).flag;
  const idle: Attack = async (_, points) => resultOf(points);
  const resultOf = (points: NdArray) => {
    const count = points.shape[0]!;
    const zeros = { dtype: "int32", shape: [count], data: new Int32Array(count) } as const;
    return {
      adversarial: points,
      success: { dtype: "bool", shape: [count], data: new Uint8Array(count) } as const,
      distance: { dtype: "float32", shape: [count], data: new Float32Array(count) } as const,
      queries: zeros,
      gradients: zeros,
    };
  };

  it("the sign test has its closed forms", () => {
    const marks = (count: number, of: number) => Uint8Array.from({ length: of }, (_, i) => Number(i < count));
    // All k differing examples on one side: 2^-k.
    for (const k of [1, 4, 5, 10]) {
      const { evidence, isStronger } = compare(marks(k, 20), marks(0, 20));
      expect(evidence.probability).toBeCloseTo(2 ** -k, 12);
      expect(isStronger).toBe(k >= 5);
    }
    // As likely as not, and never where the other is stronger, however many there are.
    expect(compare(marks(3, 9), marks(3, 9).reverse()).isStronger).toBe(false);
    expect(compare(marks(0, 5000), marks(5000, 5000))).toMatchObject({
      isStronger: false,
      evidence: { probability: 1 },
    });
    expect(compare(marks(5000, 5000), marks(0, 5000)).isStronger).toBe(true);
  });

  it("randomness: a model that ignores its keys is seen, too", async () => {
    let call = 0;
    const unstable: DifferentiableClassifier = {
      ...model,
      async logits(points, options) {
        const logits = await model.logits(points, options);
        call++;
        return { ...logits, data: logits.data.map((z) => z + 0.01 * call) };
      },
    };
    const { flag: unkeyed, evidence } = await randomness().run(subjectOf(unstable));
    expect(unkeyed).toBe(true);
    expect(evidence.differenceWithSameKeys).toBeGreaterThan(0.001);
    expect(await flag(randomness(), subjectOf(model))).toBe(false);
  });

  it("gradients against differences: a staircase with a good stand-in is no reason for a flag, a shuffled gradient is", async () => {
    const stairs = quantisedInput(model, 8);
    expect(await flag(gradientAgreement(), subjectOf(stairs))).toBe(true);
    const straightThrough: DifferentiableClassifier = {
      ...stairs,
      gradient: (points, loss, options) => model.gradient(points, loss, options),
    };
    expect(await flag(gradientAgreement(), subjectOf(straightThrough))).toBe(false);
    const shuffled: DifferentiableClassifier = {
      ...model,
      async gradient(points, loss, options) {
        const answer = await model.gradient(points, loss, options);
        const data = answer.gradient.data.map((_, i, all) => all[i ^ 1]!);
        return { ...answer, gradient: { ...answer.gradient, data } };
      },
    };
    expect(await flag(gradientAgreement(), subjectOf(shuffled))).toBe(true);
  });

  it("iterative weaker than a single step", async () => {
    expect(await flag(iterativeWeaker(), subjectOf(model))).toBe(false);
    // Where every step after the first is misled, the first is all there is.
    expect(await flag(iterativeWeaker({ probe: () => idle }), subjectOf(model))).toBe(true);
  });

  it("transfer stronger than the white box", async () => {
    const hiding = scaledLogits(model, 1e6);
    expect(await flag(transferStronger({ surrogate: model }), subjectOf(hiding))).toBe(true);
    expect(await flag(transferStronger({ surrogate: model }), subjectOf(model))).toBe(false);
    expect(await flag(transferStronger(), subjectOf(model))).toBeNull();
  });

  it("not converged: small steps", async () => {
    const slow = (steps: number) => pgd({ epsilon: 0.3, steps, stepSize: 0.01, randomStart: false });
    const near = subjectOf(model);
    expect(await flag(notConverged({ steps: 10, probe: ({ steps }) => slow(steps) }), near)).toBe(true);
    expect(await flag(notConverged({ steps: 10 }), near)).toBe(false);
  });

  it("success that falls with the radius", async () => {
    const backwards = notMonotone({ probe: (settings) => (settings.epsilon > 0.3 ? idle : pgd(settings)) });
    expect(await flag(backwards, subjectOf(model))).toBe(true);
    expect(await flag(notMonotone(), subjectOf(model))).toBe(false);
  });

  it("indicators of failure: silent success, incomplete optimisation, no gradients", async () => {
    const found = async (attack: Attack, tested: DifferentiableClassifier = model) => {
      const { flag: mark, evidence } = await attackFailure().run(subjectOf(tested, { attacks: [named(attack)] }));
      return { mark, counts: evidence.attack };
    };
    const silent: Attack = async (asked, points, goal, context) => {
      const { adversarial } = await pgd({ epsilon: 0.3 })(asked, points, goal, context);
      await asked.logits(adversarial);
      return resultOf(points);
    };
    expect(await found(silent)).toMatchObject({ mark: true, counts: { silentSuccess: 8, failed: 8 } });
    const slow = pgd({ epsilon: 0.3, steps: 20, stepSize: 0.001, randomStart: false });
    expect(await found(slow)).toMatchObject({ mark: true, counts: { incomplete: 8, silentSuccess: 0 } });
    const blind = await found(pgd({ epsilon: 0.05 }), scaledLogits(model, 1e6));
    expect(blind).toMatchObject({ mark: true, counts: { noGradients: 8, incomplete: 0 } });
    // An attack that fails because the border is too far away has not failed as an attack.
    expect(await found(pgd({ epsilon: 0.05 }))).toMatchObject({ mark: false, counts: { failed: 8 } });
  });

  it("the active test: a working attack finds what is planted, an idle or blind one does not", async () => {
    const run = async (attacks: readonly NamedAttack[], tested = model) => {
      const { flag: mark, evidence } = await activeTest().run(subjectOf(tested, { attacks }));
      return { mark, planted: evidence.planted, found: evidence.found };
    };
    const working = named(pgd({ epsilon: 0.3 }), "pgd");
    expect(await run([working])).toEqual({ mark: false, planted: 8, found: 8 });
    expect(await run([named(idle, "idle")])).toEqual({ mark: true, planted: 8, found: 0 });
    // The attacks count together.
    expect(await run([named(idle, "idle"), working])).toEqual({ mark: false, planted: 8, found: 8 });
    expect(await run([working], scaledLogits(model, 1e6))).toMatchObject({ mark: true, planted: 8 });
    expect((await run([])).mark).toBeNull();
    // An attack that takes no two classes says so, and is no pass.
    const picky: Attack = async () => {
      throw new RangeError('"classes" expected 3 or more, got 2');
    };
    expect((await run([named(picky)])).mark).toBeNull();
    expect((await run([named(picky), named(idle, "idle")])).mark).toBe(true);
  });

  it("the active test plants at the layer where the model shows one", async () => {
    // Logits that saturate behind a feature that does not: at the feature a blind attack on the logits can still be tested.
    const layered = {
      ...model,
      layers: [{ name: "hidden", shape: [2] }],
      tapped: () =>
        affineModel({
          weights: [
            [0, 0],
            [2, 0],
            [1, 0],
            [0, 1],
          ],
          bias: [0, -1, 0, 0],
        }),
    };
    const attacks = [named(pgd({ epsilon: 0.3 }), "pgd")];
    const { flag: mark, evidence } = await activeTest().run(subjectOf(layered, { attacks }));
    expect(mark).toBe(false);
    expect(evidence).toMatchObject({ where: "hidden", planted: 8, found: 8 });
  });

  it("masked features are never planted in", async () => {
    const mask = ndArray(Uint8Array.of(0, 1), [2]);
    const { says, flag: mark } = await activeTest().run(
      subjectOf(model, { mask, attacks: [named(pgd({ epsilon: 0.3 }))] }),
    );
    // Only the feature that the model ignores may move: nothing changes, and nothing can be planted.
    expect(mark).toBe(true);
    expect(says).toContain("Nothing could be planted");
  });
});
