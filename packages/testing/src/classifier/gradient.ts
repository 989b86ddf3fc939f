import {
  concatRows,
  createRng,
  crossEntropy,
  type DifferentiableClassifier,
  klDivergence,
  type Loss,
  linear,
  margin,
  type NdArray,
  onPart,
  takeRows,
  weightedSum,
} from "@parapet/core";
import { assertSameBytes } from "../assert.ts";
import { demand, failureOf } from "../law.ts";
import { demandAgreement, inside, probeGradient } from "./differences.ts";
import { type Check, type Checks, copyOf, reversed, type Subject } from "./subject.ts";

type White = Subject<DifferentiableClassifier>;

/** A cotangent for the logits of n rows, by seed. */
export function someCotangent(n: number, k: number, seed = "cotangent"): NdArray {
  const rng = createRng(seed);
  return { dtype: "float32", shape: [n, k], data: Float32Array.from({ length: n * k }, () => rng.normal()) };
}

/** The losses with which gradients are checked, each with the inputs it looks at. */
const losses: Readonly<Record<string, (subject: White) => { readonly loss: Loss; readonly x: NdArray }>> = {
  "cross-entropy": ({ x, labels }) => ({ loss: crossEntropy(labels), x }),
  margin: ({ x, labels }) => ({ loss: margin(labels), x }),
  "a linear loss": ({ x, model }) => ({ loss: linear(someCotangent(x.shape[0]!, model.numClasses)), x }),
  "a loss of two parts": ({ x, labels }) => ({
    loss: weightedSum([
      [1, onPart(crossEntropy(labels), 0, 2)],
      [3, klDivergence(labels.length)],
    ]),
    x: concatRows([x, takeRows(x, reversed(x.shape[0]!))]),
  }),
};

const agrees =
  (name: string): Check<DifferentiableClassifier> =>
  async (subject) => {
    const { model, options, tolerance, pixels } = subject;
    const { loss, x: given } = losses[name]!(subject);
    const x = inside(given, model.bounds);
    const { gradient } = await model.gradient(x, loss, options(x));
    // A moved copy keeps its row's key: the noise of a randomised model must not move with it.
    const { keys } = options(x);
    const logits = (batch: NdArray, rows: Int32Array) =>
      model.logits(batch, keys ? { keys: Uint32Array.from(rows, (row) => keys[row]!) } : {});
    const probes = await probeGradient({ logits, bounds: model.bounds, x, loss, gradient, pixels, tolerance });
    demandAgreement(gradient, probes, x.shape[0]! * pixels);
  };

/** What holds for the gradients of every white box. */
export const gradients: Checks<DifferentiableClassifier> = {
  "a gradient has the inputs' shape, its logits are logits(), its value the loss of those": async (subject) => {
    const { model, options, same } = subject;
    for (const [name, lossOf] of Object.entries(losses)) {
      const { loss, x } = lossOf(subject);
      const answer = await model.gradient(x, loss, options(x));
      demand(answer.gradient.dtype === "float32", `gradient of ${name}: got ${answer.gradient.dtype}`);
      demand(
        answer.gradient.shape.join() === x.shape.join() && answer.gradient.data.length === x.data.length,
        `gradient of ${name}: expected shape [${x.shape}], got [${answer.gradient.shape}]`,
      );
      same(answer.logits, await model.logits(x, options(x)));
      subject.close(answer.value, loss.value(answer.logits));
    }
  },

  ...Object.fromEntries(
    Object.keys(losses).map((name) => [`the gradient of ${name} agrees with central differences`, agrees(name)]),
  ),

  "the gradient is linear in the loss": async ({ model, x, labels, options, tolerance }) => {
    const gradientOf = async (loss: Loss) => (await model.gradient(x, loss, options(x))).gradient.data;
    const one = await gradientOf(crossEntropy(labels));
    const two = await gradientOf(linear(someCotangent(x.shape[0]!, model.numClasses)));
    const both = await gradientOf(
      weightedSum([
        [2, crossEntropy(labels)],
        [-0.5, linear(someCotangent(x.shape[0]!, model.numClasses))],
      ]),
    );
    const scale = both.reduce((most, _, i) => Math.max(most, 2 * Math.abs(one[i]!) + 0.5 * Math.abs(two[i]!)), 0);
    both.forEach((got, i) => {
      const expected = 2 * one[i]! - 0.5 * two[i]!;
      demand(
        Math.abs(got - expected) <= tolerance * scale,
        `gradient of 2 A - B / 2, element ${i}: expected ${expected}, got ${got}`,
      );
    });
  },

  "a row's gradient does not depend on the size of the batch": async ({ model, x, labels, options, same }) => {
    const loss = crossEntropy(labels);
    const all = await model.gradient(x, loss, options(x));
    for (let i = 0; i < labels.length; i++) {
      const rows = Int32Array.of(i);
      const row = takeRows(x, rows);
      same((await model.gradient(row, loss.take(rows), options(row))).gradient, takeRows(all.gradient, rows));
    }
  },

  "a row's gradient does not depend on the order of the rows": async ({ model, x, labels, options, same }) => {
    const order = reversed(labels.length);
    const loss = crossEntropy(labels);
    const all = await model.gradient(x, loss, options(x));
    const turned = takeRows(x, order);
    const answer = await model.gradient(turned, loss.take(order), options(turned));
    same(answer.gradient, takeRows(all.gradient, order));
    same(answer.value, takeRows(all.value, order));
  },

  "the inputs of gradient and linearize stay as they are, and answers are fresh": async (subject) => {
    const { model, x, labels, options, same } = subject;
    const before = copyOf(x);
    const loss = crossEntropy(labels);
    const first = await model.gradient(x, loss, options(x));
    const expected = copyOf(first.gradient);
    first.gradient.data.fill(7);
    first.logits.data.fill(7);
    same((await model.gradient(x, loss, options(x))).gradient, expected);
    const pass = await model.linearize(x, options(x));
    const cotangent = someCotangent(labels.length, model.numClasses);
    const kept = copyOf(cotangent);
    const pulled = await pass.pullback(cotangent);
    const expectedPull = copyOf(pulled);
    pulled.data.fill(7);
    pass.logits.data.fill(7);
    same(await pass.pullback(cotangent), expectedPull);
    pass.release();
    assertSameBytes(x, before);
    assertSameBytes(cotangent, kept);
  },

  "a pullback is the gradient of the linear loss, and repeats": async ({ model, x, options, same, close }) => {
    const n = x.shape[0]!;
    const pass = await model.linearize(x, options(x));
    same(pass.logits, await model.logits(x, options(x)));
    const one = someCotangent(n, model.numClasses, "one");
    const two = someCotangent(n, model.numClasses, "two");
    const first = await pass.pullback(one);
    close(first, (await model.gradient(x, linear(one), options(x))).gradient);
    close(await pass.pullback(two), (await model.gradient(x, linear(two), options(x))).gradient);
    same(await pass.pullback(one), first);
    pass.release();
  },

  "a linearization keeps the inputs of its forward pass": async ({ model, x, options, same }) => {
    const cotangent = someCotangent(x.shape[0]!, model.numClasses);
    const untouched = await model.linearize(x, options(x));
    const expected = await untouched.pullback(cotangent);
    untouched.release();
    const mine = copyOf(x);
    const pass = await model.linearize(mine, options(x));
    mine.data.set(takeRows(x, reversed(x.shape[0]!)).data);
    same(await pass.pullback(cotangent), expected);
    pass.release();
  },

  "a pullback after release rejects, and release may be called again": async ({ model, x, options }) => {
    const pass = await model.linearize(x, options(x));
    const cotangent = someCotangent(x.shape[0]!, model.numClasses);
    await pass.pullback(cotangent);
    pass.release();
    pass.release();
    await failureOf("pullback after release", () => pass.pullback(cotangent));
  },

  "concurrent gradients are what serial ones are": async ({ model, x, labels, options, same }) => {
    const calls = labels.reduce<(() => Promise<NdArray>)[]>((list, _, i) => {
      const rows = Int32Array.of(i, 0);
      const batch = takeRows(x, rows);
      const loss = (i % 2 === 0 ? crossEntropy(labels) : margin(labels)).take(rows);
      list.push(async () => (await model.gradient(batch, loss, options(batch))).gradient);
      list.push(() => model.logits(batch, options(batch)));
      return list;
    }, []);
    const serial: NdArray[] = [];
    for (const call of calls) serial.push(await call());
    const concurrent = await Promise.all(calls.map((call) => call()));
    concurrent.forEach((answer, i) => {
      same(answer, serial[i]!);
    });
  },
};
