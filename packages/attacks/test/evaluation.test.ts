import type { Checkpoint, EvaluationOptions, EvaluationProgress } from "@parapet/attacks";
import { evaluateRobustness, fgsm, pgd, securityCurve, square } from "@parapet/attacks";
import {
  type Attack,
  createRng,
  type DifferentiableClassifier,
  type Labeler,
  margin,
  type NdArray,
  ndArray,
  targeted,
  untargeted,
} from "@parapet/core";
import { affineModel, countingModel, noisyModel } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import schema from "../schema/robustness-evaluation.schema.json" with { type: "json" };
import { type Schema, violations } from "./helpers/schema.ts";
import { pictures, trained } from "./helpers/toy.ts";

/** Class 1 where the mean of two features exceeds 1/2: the linf distance to the border is |mean - 1/2|. */
const half = affineModel({
  weights: [
    [0, 0],
    [1, 1],
  ],
  bias: [0, -1],
});
const rows = (means: readonly number[]): NdArray =>
  ndArray(
    means.flatMap((mean) => [mean, mean]),
    [means.length, 2],
  );

/** An attack that does what it is told for each example, by its index in `points`: it may lie. */
const scripted =
  (points: (row: Float32Array) => readonly number[], claims: 0 | 1 = 1): Attack<Labeler> =>
  async (model, x) => {
    const n = x.shape[0]!;
    const data = new Float32Array(x.data.length);
    for (let i = 0; i < n; i++) data.set(points(x.data.subarray(2 * i, 2 * i + 2)), 2 * i);
    await model.labels(x);
    return {
      adversarial: { ...x, data },
      success: { dtype: "bool", shape: [n], data: new Uint8Array(n).fill(claims) },
      distance: { dtype: "float32", shape: [n], data: new Float32Array(n) },
      queries: { dtype: "int32", shape: [n], data: new Int32Array(n).fill(3) },
      gradients: { dtype: "int32", shape: [n], data: new Int32Array(n).fill(2) },
    };
  };

/** Goes straight to the border and a hair beyond: a minimum-norm attack in closed form, which fails beyond 0.3. */
const minimum = scripted(([mean]) => {
  const to = mean! > 0.5 ? 0.4999 : 0.5001;
  return Math.abs(to - mean!) > 0.3 ? [mean!, mean!] : [to, to];
});

const plain = { norm: "linf", epsilon: 0.1, rng: createRng(0), checks: false } as const;

describe("the worst case", () => {
  // Distances 0.02, 0.06, 0.2, 0.4 and one that is wrong already.
  const x = rows([0.52, 0.56, 0.7, 0.9, 0.4]);
  const labels = [1, 1, 1, 1, 1];

  it("is taken per example, and says who broke what, how far away and at what cost", async () => {
    const first = scripted(([a, b]) => (a! < 0.53 ? [0.49, 0.49] : [a!, b!]));
    const second = scripted(([a]) => [a! - 0.09, a! - 0.09]);
    const evaluation = await evaluateRobustness(half, x, labels, { ...plain, attacks: { first, second } });
    expect(evaluation.clean).toMatchObject({ count: 4, total: 5 });
    expect(evaluation.robust).toMatchObject({ count: 2, total: 5 });
    expect(evaluation.examples.map(({ brokenBy }) => brokenBy)).toEqual(["first", "second", null, null, null]);
    expect(evaluation.examples.map(({ robust }) => robust)).toEqual([false, false, true, true, false]);
    expect(evaluation.examples[0]!.nearest).toBeCloseTo(0.03, 6);
    expect(evaluation.examples[0]!.nearestBy).toBe("first");
    expect(evaluation.examples[1]!.nearest).toBeCloseTo(0.09, 6);
    expect(evaluation.examples[2]).toMatchObject({ nearest: null, nearestBy: null, queries: 6, gradients: 4 });
    // What is wrong already has distance 0, is not attacked, and is nobody's success.
    expect(evaluation.examples[4]).toMatchObject({ nearest: 0, clean: false, queries: 0, attacks: [null, null] });
    expect(evaluation.attacks[0]).toMatchObject({ first: 1, success: { count: 1, total: 4 }, accuracy: { count: 3 } });
    expect(evaluation.attacks[1]).toMatchObject({ first: 1, success: { count: 2, total: 4 }, accuracy: { count: 2 } });
  });

  it("is the same in a cascade, for less work", async () => {
    const attacks = { fgsm: fgsm({ epsilon: 0.05 }), pgd: pgd({ epsilon: 0.1, steps: 5 }) };
    const all = await evaluateRobustness(half, x, labels, { ...plain, attacks });
    const cascade = await evaluateRobustness(half, x, labels, { ...plain, attacks, cascade: true });
    const outcome = ({ brokenBy, robust }: { brokenBy: string | null; robust: boolean }) => [brokenBy, robust];
    expect(cascade.examples.map(outcome)).toEqual(all.examples.map(outcome));
    expect(cascade.robust).toEqual(all.robust);
    expect(cascade.attacks[1]!.success!.total).toBe(3);
    expect(all.attacks[1]!.success!.total).toBe(4);
    expect(cascade.attacks[1]!.accuracy.count).toBe(cascade.robust.count);
  });

  it("is judged by the model's own answer, whatever an attack claims", async () => {
    const judged = async (attack: Attack<Labeler>) =>
      (await evaluateRobustness(half, rows([0.55]), [1], { ...plain, attacks: { attack } })).examples[0]!;
    // Claims success at a point that is answered rightly.
    expect(await judged(scripted(([a, b]) => [a!, b!]))).toMatchObject({ robust: true, nearest: null });
    // Says it failed, at a point that is answered wrongly.
    expect(await judged(scripted(() => [0.49, 0.49], 0))).toMatchObject({ robust: false });
    // A wrong answer outside the ball is a distance, but no success.
    const far = await judged(scripted(() => [0.4, 0.4]));
    expect(far).toMatchObject({ robust: true, brokenBy: null });
    expect(far.nearest).toBeCloseTo(0.15, 6);
    // Outside the bounds there is no input.
    expect(await judged(scripted(() => [-0.1, 0.5]))).toMatchObject({ robust: true, nearest: null });
    expect(await judged(scripted(() => [Number.NaN, 0.5]))).toMatchObject({ robust: true, nearest: null });
  });

  it("counts what float32 makes of x + epsilon as within epsilon", async () => {
    const { robust } = await evaluateRobustness(half, rows([0.55, 0.59]), [1, 1], {
      ...plain,
      attacks: { fgsm: fgsm({ epsilon: 0.1 }) },
    });
    expect(robust.count).toBe(0);
  });

  it("takes attacks in other norms and at other radii, and targeted ones", async () => {
    const { examples, attacks, curve } = await evaluateRobustness(half, rows([0.55, 0.69]), [1, 1], {
      ...plain,
      attacks: {
        l2: {
          attack: pgd({ norm: "l2", epsilon: 0.1, steps: 10 }),
          norm: "l2",
          epsilon: 0.1,
          parameters: { steps: 10 },
        },
        any: { attack: minimum, epsilon: Number.POSITIVE_INFINITY },
        targeted: {
          attack: pgd({ epsilon: 0.1, steps: 5 }),
          goal: (labels) => targeted(labels.map((label) => 1 - label)),
        },
      },
    });
    expect(examples.map(({ brokenBy }) => brokenBy)).toEqual(["l2", "any"]);
    expect(attacks.map(({ norm, epsilon, goal }) => [norm, epsilon, goal])).toEqual([
      ["l2", 0.1, "untargeted"],
      ["linf", null, "untargeted"],
      ["linf", 0.1, "targeted"],
    ]);
    expect(attacks[2]!.success).toMatchObject({ count: 1, total: 2 });
    // An l2 distance is no point of a linf curve.
    expect(examples[0]!.nearestBy).toBe("any");
    expect(curve.at(-1)!.accuracy.count).toBe(0);
  });

  it("an answer that is no number is wrong for the model and no success for the attacker", async () => {
    const holes: DifferentiableClassifier = {
      ...half,
      async logits(points, options) {
        const logits = await half.logits(points, options);
        const data = logits.data.map((z, i) => (points.data[2 * (i >> 1)]! < 0.5 ? Number.NaN : z));
        return { ...logits, data };
      },
    };
    const { examples } = await evaluateRobustness(holes, rows([0.4, 0.55]), [0, 1], { ...plain, attacks: { minimum } });
    expect(examples.map(({ clean, robust }) => [clean, robust])).toEqual([
      [false, false],
      [true, true],
    ]);
  });

  it("a labeler is enough for attacks that need no more, and masked features stay", async () => {
    const { inputShape, numClasses, bounds, labels: answer } = half;
    const labeler: Labeler = { inputShape, numClasses, bounds, labels: answer };
    const attack: Attack<Labeler> = minimum;
    const evaluation = await evaluateRobustness(labeler, x, labels, {
      ...plain,
      checks: undefined,
      attacks: { attack },
    } as never);
    expect(evaluation.robust.count).toBe(2);
    expect(evaluation.checks.filter(({ flag }) => flag === null).length).toBeGreaterThan(5);

    const mask = ndArray(Uint8Array.of(1, 0), [2]);
    const masked = await evaluateRobustness(half, rows([0.54, 0.56]), [1, 1], {
      ...plain,
      mask,
      attacks: { pgd: pgd({ epsilon: 0.1 }) },
    });
    expect(masked.examples.map(({ robust }) => robust)).toEqual([false, true]);
    expect(masked.threat.masked).toBe(true);
    const each = ndArray(Uint8Array.of(0, 0, 1, 1, 1, 1), [3, 2]);
    const perExample = await evaluateRobustness(half, rows([0.54, 0.56, 0.56]), [1, 1, 1], {
      ...plain,
      mask: each,
      batchSize: 2,
      attacks: { pgd: pgd({ epsilon: 0.1 }) },
    });
    expect(perExample.examples.map(({ robust }) => robust)).toEqual([true, false, false]);
  });
});

describe("defects of other libraries", () => {
  it("a model that no attack breaks is not given distance 0 (ART, empirical_robustness)", async () => {
    const nothing = scripted(([a, b]) => [a!, b!], 0);
    const { attacks, examples, curve, robust } = await evaluateRobustness(half, rows([0.7, 0.8, 0.9]), [1, 1, 1], {
      ...plain,
      radii: [0, 0.1, 1000],
      attacks: { nothing },
    });
    expect(robust.rate).toBe(1);
    expect(attacks[0]!.medianDistance).toBeNull();
    expect(examples.map(({ nearest }) => nearest)).toEqual([null, null, null]);
    expect(curve.map(({ accuracy }) => accuracy.rate)).toEqual([1, 1, 1]);
  });

  it("failures are in the median, as infinite: they do not make a model look weaker (ART)", async () => {
    const median = async (means: number[]) =>
      (
        await evaluateRobustness(
          half,
          rows(means),
          means.map(() => 1),
          { ...plain, attacks: { minimum } },
        )
      ).attacks[0]!.medianDistance;
    expect(await median([0.55, 0.6, 0.9])).toBeCloseTo(0.1, 3);
    expect(await median([0.55, 0.9, 0.95])).toBeNull();
    expect(await median([0.55, 0.6])).toBeCloseTo(0.075, 3);
    expect(await median([0.55, 0.9])).toBeNull();
  });

  it("who was broken is kept for every example and attack (ART#2827)", async () => {
    const { examples } = await evaluateRobustness(half, rows([0.55, 0.7]), [1, 1], { ...plain, attacks: { minimum } });
    expect(examples.map(({ attacks }) => attacks.map((outcome) => outcome?.broken))).toEqual([[true], [false]]);
  });

  it("success is counted among what was right before, and nothing is carried over (secml-torch)", async () => {
    const run = () =>
      evaluateRobustness(half, rows([0.55, 0.7, 0.4, 0.3]), [1, 1, 1, 1], { ...plain, attacks: { minimum } });
    const [once, twice] = [await run(), await run()];
    expect(once.attacks[0]!.success).toMatchObject({ count: 1, total: 2 });
    expect(once.clean).toMatchObject({ count: 2, total: 4 });
    expect(twice).toEqual(once);
    const { attacks } = await evaluateRobustness(half, rows([0.4]), [1], { ...plain, attacks: { minimum } });
    expect(attacks[0]).toMatchObject({ success: null, accuracy: { count: 0, total: 1 } });
  });
});

describe("the security curve", () => {
  it("is read off the distances of one run, and agrees with closed forms and with attacks at each radius", async () => {
    const means = [0.45, 0.52, 0.55, 0.58, 0.65, 0.72, 0.9];
    const radii = [0, 0.03, 0.06, 0.1, 0.16, 0.25, 1];
    const labels = means.map(() => 1);
    const { curve } = await evaluateRobustness(half, rows(means), labels, { ...plain, radii, attacks: { minimum } });
    for (const [i, epsilon] of radii.entries()) {
      // The last two are never found: their points say so at any radius.
      const right = means.filter((mean) => mean > 0.5 && (mean - 0.5 > epsilon || mean > 0.8)).length;
      expect(curve[i]).toMatchObject({ epsilon, accuracy: { count: right, total: 7 } });
      if (epsilon > 0.3) continue;
      const fixed = await evaluateRobustness(half, rows(means), labels, {
        ...plain,
        epsilon,
        attacks: { pgd: pgd({ epsilon }) },
      });
      expect(fixed.robust.count).toBe(right);
    }
  });

  it("falls, begins at the clean accuracy, and meets the robust accuracy at epsilon", async () => {
    const { curve, clean, robust } = await evaluateRobustness(half, rows([0.4, 0.55, 0.65, 0.9]), [1, 1, 1, 1], {
      ...plain,
      attacks: { minimum },
    });
    const rates = curve.map(({ accuracy }) => accuracy.rate);
    expect(rates).toEqual([...rates].sort().reverse());
    expect(rates[0]).toBe(clean.rate);
    expect(curve.find(({ epsilon }) => epsilon === 0.1)!.accuracy).toEqual(robust);
    // Something was found beyond epsilon, so the curve goes on to twice that.
    expect(curve.at(-1)!.epsilon).toBe(0.2);
  });

  it("counts a failure as infinite", () => {
    const [point] = securityCurve([Number.POSITIVE_INFINITY, 1], [Number.MAX_VALUE]);
    expect(point!.accuracy).toMatchObject({ count: 1, total: 2 });
  });
});

describe("the result", () => {
  const options = (extra: Partial<EvaluationOptions> = {}): EvaluationOptions => ({
    attacks: {
      fgsm: fgsm({ epsilon: 0.15 }),
      pgd: { attack: pgd({ epsilon: 0.15, steps: 10 }), parameters: { steps: 10, epsilon: 0.15 } },
      margin: { attack: pgd({ epsilon: 0.15, steps: 10 }), goal: (labels) => untargeted(labels, margin(labels)) },
      square: square({ epsilon: 0.15, queries: 50 }),
    },
    norm: "linf",
    epsilon: 0.15,
    rng: createRng(3),
    seed: 3,
    checkExamples: 6,
    ...extra,
  });
  const problem = (async () => ({ model: await trained(1, { steps: 60 }), ...pictures(5, 20) }))();

  it("is JSON that obeys the schema, and the schema is strict", async () => {
    const { model, x, labels } = await problem;
    const evaluation = await evaluateRobustness(model, x, labels, {
      ...options(),
      subject: { name: "toy", digest: { sha256: "0".repeat(64) } },
      versions: { node: "20" },
      command: "npm run demo",
    });
    const read = JSON.parse(JSON.stringify(evaluation));
    expect(read).toEqual(evaluation);
    expect(violations(read, schema as Schema)).toEqual([]);
    expect(evaluation.data.digest.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(violations({ ...read, extra: 1 }, schema as Schema)).toHaveLength(1);
    expect(violations({ ...read, clean: { ...read.clean, rate: 1.5 } }, schema as Schema)).toHaveLength(1);
    const { robust: _, ...without } = read;
    expect(violations(without, schema as Schema)).toHaveLength(1);
    // Each exhibit is an adversarial example that whoever has the model can check.
    expect(evaluation.exhibits.length).toBeGreaterThan(0);
    for (const { index, data, answer } of evaluation.exhibits) {
      const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
      const point = ndArray(new Float32Array(bytes.buffer), [1, 6, 6]);
      expect((await model.labels(point)).data[0]).toBe(answer);
      expect(answer).not.toBe(labels[index]);
    }
  });

  it("does not depend on the batch size", async () => {
    const { model, x, labels } = await problem;
    const one = await evaluateRobustness(model, x, labels, options({ batchSize: 7 }));
    const other = await evaluateRobustness(model, x, labels, options({ batchSize: 128 }));
    expect(JSON.stringify(one)).toBe(JSON.stringify(other));
  });

  it("is the same for every example in another order", async () => {
    const { model, x, labels } = await problem;
    const n = labels.length;
    const turned = ndArray(x.data.slice(), [n, 6, 6]);
    for (let i = 0; i < n; i++) turned.data.set(x.data.subarray(36 * i, 36 * i + 36), 36 * (n - 1 - i));
    const one = await evaluateRobustness(model, x, labels, options({ checks: false }));
    const other = await evaluateRobustness(model, turned, labels.slice().reverse(), options({ checks: false }));
    const bare = ({ index: _, ...rest }: (typeof one.examples)[number]) => rest;
    expect(other.examples.map(bare).reverse()).toEqual(one.examples.map(bare));
    expect(other.data.digest).not.toEqual(one.data.digest);
  });

  it("is finished after an interruption without doing anything twice", async () => {
    const { model, x, labels } = await problem;
    const whole: Checkpoint[] = [];
    const full = countingModel(model);
    const expected = await evaluateRobustness(full.model, x, labels, {
      ...options({ batchSize: 8 }),
      onCheckpoint: (piece) => void whole.push(piece),
    });
    // Stopped after every number of pieces: what was finished is not done again.
    for (const after of [0, 3, 9, whole.length - 1]) {
      const kept: Checkpoint[] = [];
      const stop = new AbortController();
      const interrupted = evaluateRobustness(model, x, labels, {
        ...options({ batchSize: 8 }),
        signal: stop.signal,
        onCheckpoint(piece) {
          kept.push(JSON.parse(JSON.stringify(piece)));
          if (kept.length === after) stop.abort(new Error("power cut"));
        },
        onProgress: ({ done }) => {
          if (after === 0 && done > 3) stop.abort(new Error("power cut"));
        },
      });
      await expect(interrupted).rejects.toThrow("power cut");
      const counted = countingModel(model);
      const again: Checkpoint[] = [];
      const resumed = await evaluateRobustness(counted.model, x, labels, {
        ...options({ batchSize: 8 }),
        resume: kept,
        onCheckpoint: (piece) => void again.push(piece),
      });
      expect(JSON.stringify(resumed)).toBe(JSON.stringify(expected));
      expect(kept.length + again.length).toBe(whole.length);
      if (after > 3) expect(counted.counts().queries).toBeLessThan(full.counts().queries);
    }
    // With everything there, only the clean answers are asked for.
    const counted = countingModel(model);
    await evaluateRobustness(counted.model, x, labels, options({ batchSize: 8, resume: whole }));
    expect(counted.counts().queries).toBe(labels.length);
  });

  it("takes no pieces of another evaluation", async () => {
    const { model, x, labels } = await problem;
    const pieces: Checkpoint[] = [];
    await evaluateRobustness(
      model,
      x,
      labels,
      options({ checks: false, onCheckpoint: (piece) => void pieces.push(piece) }),
    );
    const redone = async (other: DifferentiableClassifier, extra: Partial<EvaluationOptions>) => {
      let count = 0;
      await evaluateRobustness(
        other,
        x,
        labels,
        options({ checks: false, resume: pieces, onCheckpoint: () => void count++, ...extra }),
      );
      return count;
    };
    expect(await redone(model, {})).toBe(0);
    expect(await redone(model, { rng: createRng(4), seed: 4 })).toBe(4);
    expect(await redone(model, { epsilon: 0.2 })).toBe(4);
    expect(await redone(await trained(2, { steps: 20 }), {})).toBe(4);
    // One more attack: only that one is run.
    expect(await redone(model, { attacks: { ...options().attacks, more: fgsm({ epsilon: 0.1 }) } })).toBe(1);
  });

  it("tells how far it is, and stops when it is told to", async () => {
    const { model, x, labels } = await problem;
    const events: EvaluationProgress[] = [];
    await evaluateRobustness(model, x, labels, options({ batchSize: 8, onProgress: (event) => events.push(event) }));
    const done = events.map((event) => event.done);
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(events.at(-1)!.done).toBe(events.at(-1)!.total);
    expect(new Set(events.map(({ task }) => task)).has("square")).toBe(true);
    const stopped = AbortSignal.abort(new Error("enough"));
    await expect(evaluateRobustness(model, x, labels, options({ signal: stopped }))).rejects.toThrow("enough");
    await expect(
      evaluateRobustness(model, x, labels, options({ onProgress: () => {}, signal: AbortSignal.timeout(20) })),
    ).rejects.toThrow(/timeout/);
  });

  it("a randomised model is judged with each example's own key", async () => {
    const { model, x, labels } = await problem;
    const noisy = noisyModel(model, 0.1);
    const one = await evaluateRobustness(noisy, x, labels, options({ batchSize: 3, checks: false }));
    const other = await evaluateRobustness(noisy, x, labels, options({ checks: false }));
    expect(one).toEqual(other);
  });
});

describe("mistakes of the caller", () => {
  it.each([
    [{ attacks: {} }, '"attacks" expected at least one attack'],
    [{ attacks: { a: 1 } }, '"attacks.a" expected an attack'],
    [{ norm: "l3" }, '"norm" expected'],
    [{ epsilon: -1 }, '"epsilon" expected a number >= 0, got -1'],
    [{ epsilon: Number.NaN }, '"epsilon" expected'],
    [{ rng: undefined }, '"rng" expected an Rng'],
    [{ seed: 1 }, '"seed" expected the seed of rng, got 1'],
    [{ radii: [-1] }, '"radii[0]" expected'],
    [{ batchSize: 0 }, '"batchSize" expected'],
    [{ confidence: 1 }, '"confidence" expected'],
    [{ mask: ndArray(Uint8Array.of(1), [1]) }, '"mask" expected'],
  ])("%#", async (extra, message) => {
    const options = { ...plain, attacks: { minimum }, ...extra } as unknown as EvaluationOptions;
    await expect(evaluateRobustness(half, rows([0.7]), [1], options)).rejects.toThrow(message);
  });

  it("labels and inputs", async () => {
    const options = { ...plain, attacks: { minimum } };
    await expect(evaluateRobustness(half, rows([0.7]), [1, 0], options)).rejects.toThrow('"labels" expected 1 classes');
    await expect(evaluateRobustness(half, rows([0.7]), [2], options)).rejects.toThrow(
      '"labels" expected classes below 2',
    );
    await expect(evaluateRobustness(half, rows([1.7]), [1], options)).rejects.toThrow('"x" expected');
  });
});
