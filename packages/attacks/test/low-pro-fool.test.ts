import { lowProFool, type TabularFeature } from "@parapet/attacks";
import { checkNumber, createRng, type NdArray, ndArray, targeted, untargeted } from "@parapet/core";
import { affineModel, assertClose, attackLaws, countingModel, researchWeights, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";

const rng = createRng(0);

describe("laws, all columns numbers", () => {
  const make = (epsilon: number) =>
    lowProFool({ epsilon: checkNumber("epsilon", epsilon, { min: 0 }), steps: 30, batchSize: 3 });
  for (const law of attackLaws(make, { norm: "l2", random: false, epsilon: 1 })) it(law.name, () => law.run());
});

describe("distances that are known", () => {
  const x = ndArray([0.6, 0.7, 0.2], [1, 3]);

  it("the affine classifier, weights 1: 0.6145770237, within 1 %", async () => {
    const model = affineModel(researchWeights);
    const { distance, success } = await lowProFool()(model, x, untargeted([0]), { rng });
    expect(success.data[0]).toBe(1);
    expect(distance.data[0]! / 0.6145770237).toBeGreaterThanOrEqual(1 - 1e-5);
    expect(distance.data[0]! / 0.6145770237).toBeLessThan(1.01);
  });

  it("with weights v: gap / ||g / v||, within 1 %", async () => {
    const model = affineModel({ ...researchWeights, bounds: { lower: -10, upper: 10 } });
    const weights = [4, 1, 0.5];
    // 2.4 / ||(-2, -1.5, 3) / v||; class 2 is farther: 2.8 / ||(-1, -3, 2) / v|| = 0.56.
    const shortest = 2.4 / Math.hypot(-2 / 4, -1.5, 3 / 0.5);
    for (const goal of [untargeted([0]), targeted([1])]) {
      const { distance } = await lowProFool({ weights })(model, x, goal, { rng });
      expect(distance.data[0]! / shortest).toBeGreaterThanOrEqual(1 - 1e-5);
      expect(distance.data[0]! / shortest).toBeLessThan(1.01);
    }
  });

  it("does not depend on units, by the default weights", async () => {
    const [small, large] = [1, 1000].map((unit) =>
      affineModel({
        weights: [
          [0, 0],
          [1 / unit, 2],
        ],
        bias: [2, 0],
        bounds: { lower: 0, upper: Float32Array.of(unit, 1) },
      }),
    );
    const one = await lowProFool()(small!, ndArray([0.5, 0.5], [1, 2]), untargeted([0]), { rng });
    const other = await lowProFool()(large!, ndArray([500, 0.5], [1, 2]), untargeted([0]), { rng });
    assertClose(other.distance, one.distance, { relative: 1e-4 });
  });
});

// A table as tables are: numbers, whole numbers, categories.
const features: readonly TabularFeature[] = [
  { kind: "number" },
  { kind: "integer" },
  { kind: "one-hot", size: 3 },
  { kind: "number" },
  { kind: "one-hot", size: 2 },
  { kind: "integer" },
];
const lower = Float32Array.of(0, 18, 0, 0, 0, -1, 0, 0, 0);
const upper = Float32Array.of(5, 90, 1, 1, 1, 1, 1, 1, 12);

function table(n: number, seed: string): NdArray {
  const draw = createRng(seed);
  const rows = Array.from({ length: n }, () => {
    const [a, b] = [draw.integer(3), draw.integer(2)];
    const one = (chosen: number, size: number) => Array.from({ length: size }, (_, j) => Number(j === chosen));
    return [5 * draw.next(), 18 + draw.integer(73), ...one(a, 3), 2 * draw.next() - 1, ...one(b, 2), draw.integer(13)];
  });
  return ndArray(rows.flat(), [n, 9]);
}

/** A network that sees columns of about the same size. */
function network(seed: number) {
  const draw = createRng(seed);
  const span = upper.map((high, j) => high - lower[j]!);
  const hidden = Array.from({ length: 3 }, () => Array.from(span, (range) => (3 * draw.normal()) / range));
  return affineModel({ weights: hidden, bias: [0, 1, 2].map(() => draw.normal()), bounds: { lower, upper } });
}

/** Whether each record of 9 columns is one of that table. */
function areValid(data: Float32Array): boolean {
  for (let from = 0; from < data.length; from += 9) {
    const record = data.subarray(from, from + 9);
    const category = (start: number, end: number) => {
      const ones = record.subarray(start, end).filter((value) => value === 1).length;
      return ones === 1 && record.subarray(start, end).filter((value) => value === 0).length === end - start - 1;
    };
    const inside = record.every((value, j) => value >= lower[j]! && value <= upper[j]!);
    if (!(inside && Number.isInteger(record[1]) && Number.isInteger(record[8]) && category(2, 5) && category(6, 8))) {
      return false;
    }
  }
  return true;
}

describe("records stay valid", () => {
  it("in results, and in all that the model is asked, over random tables and models", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const x = table(16, `table ${seed}`);
      const model = network(seed);
      const seen: NdArray[] = [];
      const watching: typeof model = {
        ...model,
        gradient: (points, loss, options) => {
          seen.push(points);
          return model.gradient(points, loss, options);
        },
        logits: (points, options) => {
          seen.push(points);
          return model.logits(points, options);
        },
      };
      const labels = (await model.labels(x)).data;
      for (const goal of [untargeted(labels), targeted(labels.map((label) => (label + 1) % 3))]) {
        const { adversarial, success } = await lowProFool({ features, steps: 25 })(watching, x, goal, { rng });
        expect([adversarial, ...seen.splice(0)].every(({ data }) => areValid(data))).toBe(true);
        expect(success.data).toEqual(goal.isReached(await model.logits(adversarial)).data);
      }
    }
  });

  it("and what the mask holds does not change: a category stands still where any of its columns does", async () => {
    const x = table(40, "masked");
    const model = network(3);
    const mask = { dtype: "bool", shape: [9], data: Uint8Array.of(1, 0, 1, 0, 1, 1, 1, 1, 1) } as const;
    const labels = (await model.labels(x)).data;
    const { adversarial, success } = await lowProFool({ features })(model, x, untargeted(labels), { rng, mask });
    expect(success.data.some(Boolean)).toBe(true);
    const moved = new Set<number>();
    adversarial.data.forEach((value, at) => {
      if (value !== x.data[at]) moved.add(at % 9);
      if ([1, 2, 3, 4].includes(at % 9)) expect(value).toBe(x.data[at]);
    });
    expect(moved.size).toBeGreaterThan(2);
  });

  it("a category whose upper bound is below 1 is not chosen", async () => {
    // Class 1 takes category 1 or 2; 2 is nearer but is not to be had.
    const bounds = { lower: 0, upper: Float32Array.of(1, 1, 0) };
    const model = affineModel({
      weights: [
        [1, 0, 0],
        [0, 1, 5],
      ],
      bounds,
    });
    const { adversarial } = await lowProFool({ features: [{ kind: "one-hot", size: 3 }] })(
      model,
      ndArray([1, 0, 0], [1, 3]),
      untargeted([0]),
      { rng },
    );
    expect([...adversarial.data]).toEqual([0, 1, 0]);
  });
});

describe("small tables whose best change is known by trying all", () => {
  const whole: readonly TabularFeature[] = [{ kind: "integer" }, { kind: "integer" }, { kind: "one-hot", size: 3 }];
  const bounds = { lower: 0, upper: Float32Array.of(6, 6, 1, 1, 1) };

  it("in the median it is the best one, and it is never missed by much", async () => {
    const draw = createRng("tables");
    const ratios: number[] = [];
    for (let i = 0; i < 40; i++) {
      const weights = [0, 1].map(() => [
        draw.normal(),
        draw.normal(),
        2 * draw.normal(),
        2 * draw.normal(),
        2 * draw.normal(),
      ]);
      const model = affineModel({ weights, bounds });
      const one = (chosen: number) => [0, 1, 2].map((j) => Number(j === chosen));
      const record = [draw.integer(7), draw.integer(7), ...one(draw.integer(3))];
      const x = ndArray(record, [1, 5]);
      const label = (await model.labels(x)).data[0]!;
      const size = (other: readonly number[]) =>
        Math.hypot(...other.map((value, j) => (value - record[j]!) / bounds.upper[j]!));
      let best = Number.POSITIVE_INFINITY;
      const all: number[][] = [];
      for (let a = 0; a < 7; a++) for (let b = 0; b < 7; b++) for (let c = 0; c < 3; c++) all.push([a, b, ...one(c)]);
      const answers = (await model.labels(ndArray(all.flat(), [all.length, 5]))).data;
      all.forEach((other, k) => {
        if (answers[k] !== label) best = Math.min(best, size(other));
      });
      const { success, distance } = await lowProFool({ features: whole })(model, x, untargeted([label]), { rng });
      if (best === Number.POSITIVE_INFINITY) expect(success.data[0]).toBe(0);
      else ratios.push(success.data[0] === 1 ? distance.data[0]! / best : Number.POSITIVE_INFINITY);
    }
    ratios.sort((a, b) => a - b);
    expect(ratios.length).toBeGreaterThan(20);
    expect(ratios[0]).toBeGreaterThan(1 - 1e-5);
    expect(ratios[Math.floor(ratios.length / 2)]).toBeLessThan(1 + 1e-5);
    expect(ratios.at(-1)).toBeLessThan(1.5);
  });
});

describe("what is not needed goes back", () => {
  it("no single whole number or category of a result could go back, after few steps", async () => {
    let needless = 0;
    let changed = 0;
    for (let seed = 0; seed < 6; seed++) {
      const x = table(30, `go back ${seed}`);
      const model = network(seed);
      const goal = untargeted((await model.labels(x)).data);
      const { adversarial, success } = await lowProFool({ features, steps: 8 })(model, x, goal, { rng });
      for (const [from, to] of [
        [1, 2],
        [2, 5],
        [6, 8],
        [8, 9],
      ] as const) {
        const back = ndArray(adversarial.data.slice(), adversarial.shape);
        for (let row = 0; row < 30; row++) {
          for (let j = row * 9 + from; j < row * 9 + to; j++) back.data[j] = x.data[j]!;
        }
        goal.isReached(await model.logits(back)).data.forEach((reached, row) => {
          const differs = back.data.subarray(row * 9, row * 9 + 9).some((v, j) => v !== adversarial.data[row * 9 + j]);
          if (success.data[row] === 0 || !differs) return;
          changed++;
          needless += reached;
        });
      }
    }
    expect(changed).toBeGreaterThan(50);
    expect(needless).toBe(0);
  });
});

describe("lowProFool", () => {
  it("asks once about what is wrong already", async () => {
    const counting = countingModel(affineModel(researchWeights));
    const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
    const { queries, gradients, distance, success } = await lowProFool()(counting.model, x, untargeted([1]), { rng });
    expect([queries.data[0], gradients.data[0], distance.data[0], success.data[0]]).toEqual([1, 1, 0, 1]);
  });

  it.each([
    [{ steps: 0 }, '"steps" expected a whole number >= 1, got 0'],
    [{ weights: [1, 0] }, '"weights" expected a number > 0, got 0'],
    [{ epsilon: -1 }, '"epsilon" expected a number >= 0, got -1'],
    [
      { features: [{ kind: "text" as "number" }] },
      '"features" expected kinds "number", "integer" or "one-hot", got "text"',
    ],
    [{ features: [{ kind: "one-hot", size: 1 } as const] }, '"features.size" expected a whole number >= 2, got 1'],
  ])("%o is refused", (options, message) => {
    expect(() => lowProFool(options)).toThrow(message);
  });

  it.each([
    [[1, 20.5, 1, 0, 0, 0, 1, 0, 3], '"x" expected whole numbers, got 20.5 (row 0, column 1)'],
    [[1, 20, 1, 1, 0, 0, 1, 0, 3], '"x" expected one 1 in columns 2 to 4, got 2 (row 0)'],
    [[1, 20, 0, 0, 0, 0, 1, 0, 3], '"x" expected one 1 in columns 2 to 4, got 0 (row 0)'],
  ])("%o is no record", async (row, message) => {
    const attack = lowProFool({ features });
    await expect(attack(network(0), ndArray(row, [1, 9]), untargeted([0]), { rng })).rejects.toThrow(message);
  });

  it("refuses columns that do not add up", async () => {
    const model = tinyMlp({ inputShape: [2], hidden: 2, numClasses: 2, rng: createRng(0) });
    const x = ndArray([0, 0], [1, 2]);
    const run = (options: Parameters<typeof lowProFool>[0]) => lowProFool(options)(model, x, untargeted([0]), { rng });
    await expect(run({ features: [{ kind: "number" }] })).rejects.toThrow('"features" expected 2 columns, got 1');
    await expect(run({ weights: [1] })).rejects.toThrow('"weights" expected 2 weights, one a column, got 1');
  });
});
