import { adversarialTraining, constant, type TrainingEvent } from "@parapet/adversarial-training";
import { fgsm, pgd } from "@parapet/attacks";
import {
  type Attack,
  createRng,
  distance,
  type NdArray,
  ndArray,
  type Snapshot,
  type TrainableClassifier,
  untargeted,
} from "@parapet/core";
import { assertSameBytes, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";

/**
 * One feature that moves far with the class and is wrong for one example in twenty, and twenty that move little and are
 * right together: accuracy is in the weak ones, robustness in the strong one.
 */
function strongAndWeak(n: number, seed: number): { x: NdArray; labels: Int32Array } {
  const rng = createRng(seed);
  const labels = Int32Array.from({ length: n }, () => rng.integer(2));
  const data = new Float32Array(21 * n);
  labels.forEach((label, i) => {
    const sign = 2 * label - 1;
    data[21 * i] = 0.5 + 0.25 * (rng.next() < 0.05 ? -sign : sign);
    for (let j = 1; j < 21; j++) data[21 * i + j] = Math.min(1, Math.max(0, 0.5 + 0.06 * sign + 0.08 * rng.normal()));
  });
  return { x: ndArray(data, [n, 21]), labels };
}

const epsilon = 0.12;
const mlp = () =>
  tinyMlp({ inputShape: [21], hidden: 16, numClasses: 2, rng: createRng("weights"), learningRate: 0.05 });
const fast = (radius: number) => fgsm({ epsilon: radius, stepSize: 1.25 * radius, randomStart: true });
const strong = pgd({ epsilon, steps: 20, restarts: 2, earlyStop: true });
const training = strongAndWeak(1000, 1);
const held = strongAndWeak(400, 2);

async function holds(model: TrainableClassifier): Promise<number> {
  const { success } = await strong(model, held.x, untargeted(held.labels), { rng: createRng(9) });
  return success.data.filter((reached) => reached === 0).length / 400;
}

describe("a model is harder to fool for having been trained so", () => {
  it("epsilon 0 is standard training, and falls; epsilon 0.12 holds", async () => {
    const [standard, hardened] = [mlp(), mlp()];
    const train = (radius: number) => adversarialTraining({ attack: fast, epsilon: radius, epochs: 20, batchSize: 50 });
    await train(0)(standard, training, { rng: createRng(0) });
    await train(epsilon)(hardened, training, { rng: createRng(0) });
    const clean = async (model: TrainableClassifier) =>
      (await model.labels(held.x)).data.filter((label, i) => label === held.labels[i]).length / 400;
    expect(await clean(standard)).toBeGreaterThan(0.97);
    expect(await holds(standard)).toBeLessThan(0.5);
    // The strong feature alone is right for 95 %, and 0.12 cannot move it across.
    expect(await clean(hardened)).toBeGreaterThan(0.9);
    expect(await holds(hardened)).toBeGreaterThan(0.85);
  });
});

describe("what a step learns from", () => {
  it("is the attack's result, at the radius and learning rate of the schedule", async () => {
    const model = mlp();
    const seen: { x: NdArray; rate: number | undefined; keys: number }[] = [];
    const made: { radius: number; given: NdArray; adversarial: NdArray }[] = [];
    const watched: TrainableClassifier = {
      ...model,
      step(x, loss, options) {
        seen.push({ x, rate: options?.learningRate, keys: options?.keys?.length ?? 0 });
        return model.step(x, loss, options);
      },
    };
    const attack =
      (radius: number): Attack =>
      async (...call) => {
        const result = await fast(radius)(...call);
        made.push({ radius, given: call[1], adversarial: result.adversarial });
        return result;
      };
    const train = adversarialTraining({
      attack,
      epsilon: (progress) => 0.1 * progress,
      learningRate: (progress) => 0.05 * (1 - progress),
      epochs: 2,
      batchSize: 300,
    });
    await train(watched, training, { rng: createRng(0) });
    expect(seen.length).toBe(6); // 1000 / 300, the last batch dropped, twice
    seen.forEach(({ x, rate, keys }, step) => {
      assertSameBytes(x, made[step]!.adversarial);
      expect(made[step]!.radius).toBeCloseTo((0.1 * step) / 6, 12);
      expect(rate).toBeCloseTo(0.05 * (1 - step / 6), 12);
      expect(keys).toBe(300);
      const farthest = distance(x, made[step]!.given, "linf").data.reduce((most, d) => Math.max(most, d), 0);
      expect(farthest).toBeLessThanOrEqual(made[step]!.radius + 1e-7);
    });
  });

  it("every example once an epoch, in another order each", async () => {
    const n = 64;
    const x = ndArray(
      Float32Array.from({ length: 21 * n }, (_, i) => Math.floor(i / 21) / n),
      [n, 21],
    );
    const order: number[] = [];
    const still: Attack = async (_model, batch, goal) => {
      for (let i = 0; i < batch.shape[0]!; i++) order.push(Math.round(batch.data[21 * i]! * n));
      const none = { dtype: "int32", shape: [goal.classes.length], data: new Int32Array(goal.classes.length) } as const;
      const zero = ndArray(new Float32Array(goal.classes.length));
      return {
        adversarial: batch,
        success: ndArray(new Uint8Array(goal.classes.length)),
        distance: zero,
        queries: none,
        gradients: none,
      };
    };
    const train = adversarialTraining({ attack: () => still, epsilon: 0, epochs: 2, batchSize: 16 });
    await train(mlp(), { x, labels: new Int32Array(n) }, { rng: createRng(0) });
    const [first, second] = [order.slice(0, n), order.slice(n)];
    const all = Array.from({ length: n }, (_, i) => i);
    expect([...first].sort((a, b) => a - b)).toEqual(all);
    expect([...second].sort((a, b) => a - b)).toEqual(all);
    expect(first).not.toEqual(second);
    expect(first).not.toEqual(all);
  });

  it("same seed, same bytes; another seed, others", async () => {
    const run = async (seed: number) => {
      const model = mlp();
      await adversarialTraining({ attack: fast, epsilon, epochs: 2 })(model, training, { rng: createRng(seed) });
      return (await model.snapshot()).weights.get("W1")!;
    };
    const first = await run(5);
    assertSameBytes(await run(5), first);
    expect((await run(6)).data).not.toEqual(first.data);
  });
});

describe("the best epoch is kept, and overfitting ends the training", () => {
  /** An attack on the validation data that succeeds on a given share of it, one share after the other. */
  function scripted(shares: readonly number[]): Attack {
    let call = 0;
    return async (_model, x, goal) => {
      const n = goal.classes.length;
      const fallen = shares[call++]! * n;
      const none = { dtype: "int32", shape: [n], data: new Int32Array(n) } as const;
      const success = ndArray(Uint8Array.from({ length: n }, (_, i) => Number(i < fallen)));
      return { adversarial: x, success, distance: ndArray(new Float32Array(n)), queries: none, gradients: none };
    };
  }
  const run = async (shares: readonly number[], overfittingDrop?: number) => {
    const model = mlp();
    const events: TrainingEvent[] = [];
    const train = adversarialTraining({
      attack: fast,
      epsilon,
      epochs: shares.length,
      batchSize: 100,
      validationAttack: scripted(shares),
      ...(overfittingDrop === undefined ? {} : { overfittingDrop }),
    });
    const result = await train(model, training, {
      rng: createRng(0),
      validation: held,
      onProgress: (e) => events.push(e),
    });
    const checkpoints = events.filter((event) => event.kind === "checkpoint");
    return { model, result, events, checkpoints };
  };
  const same = async (model: TrainableClassifier, snapshot: Snapshot) => {
    for (const [name, array] of (await model.snapshot()).weights) assertSameBytes(array, snapshot.weights.get(name)!);
  };

  it("a worse epoch does not replace a better one", async () => {
    const { model, result, checkpoints } = await run([0.6, 0.3, 0.4, 0.45]);
    expect([result.bestEpoch, result.stopped, result.epochs.length]).toEqual([2, "finished", 4]);
    expect(checkpoints.map(({ epoch }) => epoch)).toEqual([1, 2]);
    expect(result.epochs.map(({ validation }) => validation!.attacked!.rate)).toEqual([0.4, 0.7, 0.6, 0.55]);
    await same(model, checkpoints.at(-1)!.snapshot);
  });

  it("a drop of more than 0.2 below the best stops, and the best comes back", async () => {
    const { model, result, checkpoints } = await run([0.5, 0.2, 0.41, 0.1]);
    expect([result.bestEpoch, result.stopped, result.epochs.length]).toEqual([2, "catastrophic overfitting", 3]);
    await same(model, checkpoints.at(-1)!.snapshot);
  });

  it("a drop that so few examples may show by chance does not", async () => {
    const few = { x: ndArray(held.x.data.slice(0, 4 * 21), [4, 21]), labels: held.labels.slice(0, 4) };
    const train = adversarialTraining({ attack: fast, epsilon, epochs: 2, validationAttack: scripted([0, 0.5]) });
    const { epochs, stopped } = await train(mlp(), training, { rng: createRng(0), validation: few });
    expect(epochs.map(({ validation }) => validation!.attacked!.rate)).toEqual([1, 0.5]);
    expect(stopped).toBe("finished");
  });

  it("how far it may drop is the caller's choice", async () => {
    expect((await run([0.5, 0.2, 0.41, 0.1], 0.5)).result.stopped).toBe("finished");
    expect((await run([0.2, 0.3, 0.1], 0.05)).result.epochs.length).toBe(2);
  });

  it("tells of every step, every epoch and every better model", async () => {
    const { events, result } = await run([0.5, 0.4]);
    expect(events.map(({ kind }) => kind)).toEqual([
      ...new Array(10).fill("step"),
      "epoch",
      "checkpoint",
      ...new Array(10).fill("step"),
      "epoch",
      "checkpoint",
    ]);
    expect(events[0]).toMatchObject({ step: 1, steps: 20, epoch: 1, epsilon });
    expect(result.epochs[0]!.trainAccuracy.total).toBe(1000);
    expect(result.epochs[0]!.validation!.clean.total).toBe(400);
  });

  it("without validation the last epoch counts", async () => {
    const model = mlp();
    const result = await adversarialTraining({ attack: fast, epsilon, epochs: 2 })(model, training, {
      rng: createRng(0),
    });
    expect([result.bestEpoch, result.epochs[1]!.validation]).toEqual([2, undefined]);
  });

  it("without an attack on it, validation is about clean accuracy and claims nothing else", async () => {
    const train = adversarialTraining({ attack: fast, epsilon, epochs: 2 });
    const { epochs } = await train(mlp(), training, { rng: createRng(0), validation: held });
    expect(epochs.map(({ validation }) => validation?.attacked)).toEqual([undefined, undefined]);
    expect(epochs[1]!.validation!.clean.total).toBe(400);
  });
});

describe("it can be stopped", () => {
  it("by a signal, between two steps, with the model alive", async () => {
    const model = mlp();
    const controller = new AbortController();
    const onProgress = (event: TrainingEvent) => {
      if (event.kind === "step" && event.step === 3) controller.abort(new Error("enough"));
    };
    const train = adversarialTraining({ attack: fast, epsilon, epochs: 1000 });
    const running = train(model, training, { rng: createRng(0), signal: controller.signal, onProgress });
    await expect(running).rejects.toThrow("enough");
    expect((await model.labels(held.x)).data.length).toBe(400);
  });
});

describe("misuse", () => {
  it.each([
    [{ epochs: 0 }, '"epochs" expected a whole number >= 1, got 0'],
    [{ epsilon: -0.1 }, '"epsilon" expected a number >= 0, got -0.1'],
    [{ epsilon: () => Number.NaN }, '"epsilon" expected a number >= 0, got NaN'],
    [{ epsilon: "0.3" as unknown as number }, '"epsilon" expected a number or a schedule, got "0.3"'],
    [{ batchSize: 2.5 }, '"batchSize" expected a whole number >= 1, got 2.5'],
    [{ overfittingDrop: 0 }, '"overfittingDrop" expected a number > 0 and <= 1, got 0'],
    [{ attack: undefined as never }, '"attack" expected a function from epsilon to an attack, got undefined'],
  ])("options %#", (wrong, message) => {
    expect(() => adversarialTraining({ attack: fast, epsilon, epochs: 1, ...wrong })).toThrow(message);
  });

  it.each([
    [{ labels: [0, 1] }, '"data.labels" expected 1000 classes, one a row, got 2'],
    [{ x: ndArray([], [0, 21]), labels: [] }, '"data.x" expected at least one row, got [0, 21]'],
    [{ labels: new Array(1000).fill(7) }, '"goal" expected classes below 2, got 7'],
    [{ x: ndArray(new Float32Array(2000), [1000, 2]) }, '"x" expected shape [n, 21], got [100, 2]'],
  ])("data %#", async (wrong, message) => {
    const train = adversarialTraining({ attack: fast, epsilon: constant(epsilon), epochs: 1 });
    await expect(train(mlp(), { ...training, ...wrong }, { rng: createRng(0) })).rejects.toThrow(message);
  });

  it("a batch larger than the data", async () => {
    const train = adversarialTraining({ attack: fast, epsilon, epochs: 1, batchSize: 5000 });
    await expect(train(mlp(), training, { rng: createRng(0) })).rejects.toThrow(
      '"batchSize" expected at most the 1000 examples',
    );
  });
});
