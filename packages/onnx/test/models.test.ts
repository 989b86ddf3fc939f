/// <reference types="node" />
import { readdirSync, readFileSync } from "node:fs";
import { pgd } from "@parapet/attacks";
import { createRng, crossEntropy, type NdArray, ndArray, untargeted, weightedSum } from "@parapet/core";
import { assertClose } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { afterEach, describe, expect, it } from "vitest";
import { fromOnnx, sgd, type Tensor } from "../src/index.ts";
import { readModel } from "../src/proto/read.ts";

// Networks as PyTorch's exporters wrote them, with what PyTorch answers in float64: vectors/README.md says how.

interface Values {
  readonly shape: number[];
  readonly values: number[];
}
interface Reference {
  readonly exporter: string;
  readonly operators: string[];
  readonly predicted?: number[];
  readonly probabilities?: Values;
  readonly input: Values & { readonly name: string; readonly dtype: string };
  readonly output: { readonly name: string };
  readonly labels: number[];
  readonly logits: Values;
  readonly crossEntropy: number[];
  readonly inputGradient?: Values;
  readonly embeddingGradient?: Values;
  readonly differentiateAt?: string;
  readonly weights?: {
    readonly initializer: string;
    readonly trainable: boolean;
    readonly norm: number;
    readonly largest: number;
    readonly first: number[];
  }[];
  readonly pgd?: {
    readonly epsilon: number;
    readonly stepSize: number;
    readonly steps: number;
    readonly bounds: [number, number];
    readonly shape: number[];
    readonly inputs: number[];
    readonly labels: number[];
    readonly adversarial: number[];
    readonly success: (boolean | number)[];
  };
}

const folder = new URL("./vectors/models/", import.meta.url);
const reference = (name: string) => JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as Reference;
const bytes = (name: string) => new Uint8Array(readFileSync(new URL(`${name}.onnx`, folder)));
const names = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .map((file) => file.slice(0, -5));
const array = ({ shape, values }: Values): NdArray => ndArray(values, shape);
const largest = (values: ArrayLike<number>) =>
  Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
const bounds = { lower: -100, upper: 100 };

/** How PyTorch's values came about. */
const modeOf = (name: string) => (name === "resnet-train" ? "training" : "inference");

const open: { release(): Promise<void> }[] = [];
afterEach(async () => {
  for (const model of open.splice(0)) await model.release();
});

const trainable = ({ exporter, inputGradient, weights = [] }: Reference) =>
  exporter !== "skl2onnx" && inputGradient !== undefined && weights.some((weight) => weight.trainable);

describe.each(names.filter((name) => trainable(reference(name))))("%s, trained", (name) => {
  const given = reference(name);
  const weights = given.weights!.filter((weight) => weight.trainable);

  it("parameter gradients are PyTorch's to 1e-3", async () => {
    const inputShape = given.input.shape.slice(1);
    const model = await fromOnnx(bytes(name), { runtime, bounds, inputShape, optimizer: sgd(0.1) });
    open.push(model);
    const mode = modeOf(name);
    const { gradients } = await model.parameterGradients(array(given.input), crossEntropy(given.labels), { mode });
    // A gradient that cancels to nothing (a bias before a normalisation) is rounding, measured by the network's largest.
    const rounding = 1e-5 * largest(weights.map(({ norm }) => norm));
    for (const { initializer, norm, largest: most, first } of weights) {
      const found = gradients.get(initializer)?.data.map((value) => value * given.labels.length);
      expect(found, initializer).toBeDefined();
      expect(Math.abs(Math.hypot(...found!) - norm), initializer).toBeLessThan(1e-3 * norm + rounding);
      assertClose(found!.slice(0, first.length), first, { absolute: 1e-3 * most + rounding });
    }
  });
});

const isBlackBox = ({ operators }: Reference) => operators.some((op) => /Classifier|Normalizer|Scaler/.test(op));

describe.each(names.filter((name) => reference(name).inputGradient !== undefined && !isBlackBox(reference(name))))(
  "%s",
  (name) => {
    const given = reference(name);

    it("logits and input gradient are PyTorch's to 1e-3", async () => {
      const model = await fromOnnx(bytes(name), { runtime, bounds, inputShape: given.input.shape.slice(1) });
      open.push(model);
      const x = array(given.input);
      const mode = modeOf(name);
      const { logits, value, gradient } = await model.gradient(x, crossEntropy(given.labels), { mode });
      // A single logit z is presented as [0, z].
      const reference = given.logits.shape[1] === 1 ? given.logits.values.flatMap((z) => [0, z]) : given.logits.values;
      // Of probabilities nothing is left but their logarithms: logits up to a constant per row.
      const shift = (data: ArrayLike<number>) =>
        given.exporter === "classic" || given.exporter === "dynamo"
          ? data
          : Array.from(data, (v, i) => v - data[i - (i % model.numClasses)]!);
      assertClose(shift(logits.data), shift(reference), { absolute: 1e-4 * largest(reference) });
      assertClose(value, given.crossEntropy, { absolute: 1e-4 * Math.max(1, largest(given.crossEntropy)) });
      const expected = given.inputGradient!.values;
      assertClose(gradient, expected, { absolute: 1e-3 * largest(expected) });
      // A loss whose form the engine does not know takes another route to the same place.
      const other = await model.gradient(x, weightedSum([[2, crossEntropy(given.labels)]]), { mode });
      assertClose(
        other.gradient,
        expected.map((v) => 2 * v),
        { absolute: 2e-3 * largest(expected) },
      );
    });
  },
);

describe.each(names.filter((name) => isBlackBox(reference(name))))("%s, a black box", (name) => {
  const given = reference(name);

  it("answers as scikit-learn does, and says why it has no gradient", async () => {
    const model = await fromOnnx(bytes(name), { runtime, bounds, inputShape: given.input.shape.slice(1) });
    open.push(model);
    const x = array(given.input);
    const { data } = await model.logits(x);
    const k = model.numClasses;
    const softmax = data.map((v, i) => {
      const row = data.subarray(i - (i % k), i - (i % k) + k);
      return Math.exp(v) / row.reduce((sum, z) => sum + Math.exp(z), 0);
    });
    assertClose(softmax, given.probabilities!.values, { absolute: 1e-6 });
    expect([...(await model.labels(x)).data]).toEqual(given.predicted);
    const refusal = model.gradient(x, crossEntropy(given.predicted!));
    await expect(refusal).rejects.toMatchObject({ code: "onnx/no-derivative" });
    await expect(refusal).rejects.toThrow(/expected an operator with a derivative, got ai\.onnx\.ml\./);
  });
});

describe.each(names.filter((name) => reference(name).embeddingGradient !== undefined))(
  "%s, at its embedding",
  (name) => {
    const given = reference(name);

    it("the gradient is PyTorch's to 1e-3", async () => {
      const { shape, values } = given.input;
      const ids = (n: number): Tensor => ({
        dtype: "int64",
        shape: [n, ...shape.slice(1)],
        data: BigInt64Array.from(values.slice(0, (n * values.length) / shape[0]!), (id) => BigInt(id)),
      });
      // The rows of the embedding: what the network without its gradient answers there.
      const session = await runtime.InferenceSession.create(bytes(name));
      const fed = new runtime.Tensor("int64", ids(shape[0]!).data as BigInt64Array, shape);
      const logits = (await session.run({ [given.input.name]: fed }))[given.output.name]!.data as Float32Array;
      assertClose(logits, given.logits.values, { absolute: 1e-4 * largest(given.logits.values) });
      await session.release();
      for (let row = 0; row < shape[0]!; row++) {
        const width = values.length / shape[0]!;
        const one: Tensor = {
          dtype: "int64",
          shape: [1, ...shape.slice(1)],
          data: BigInt64Array.from(values.slice(row * width, (row + 1) * width), (id) => BigInt(id)),
        };
        const inputs = { [given.input.name]: one };
        const model = await fromOnnx(bytes(name), { runtime, bounds, inputs, differentiateAt: given.differentiateAt! });
        open.push(model);
        const table = embeddingRows(bytes(name), one.data as BigInt64Array, model.inputShape);
        const { logits: found, gradient } = await model.gradient(table, crossEntropy([given.labels[row]!]));
        const k = given.logits.shape[1]!;
        assertClose(found, given.logits.values.slice(row * k, (row + 1) * k), {
          absolute: 1e-3 * largest(given.logits.values),
        });
        const size = gradient.data.length;
        const expected = given.embeddingGradient!.values.slice(row * size, (row + 1) * size);
        assertClose(gradient, expected, { absolute: 1e-3 * largest(expected) });
      }
    });
  },
);

/** The rows of the file's embedding table for the ids of one text. */
function embeddingRows(file: Uint8Array, ids: BigInt64Array, shape: readonly number[]): NdArray {
  const { graph } = readModel(file);
  const width = shape.at(-1)!;
  const lookUp = graph.nodes.find(
    ({ op, inputs }) => op === "Gather" && graph.initializers.get(inputs[0]!)?.shape[1] === width,
  )!;
  const table = graph.initializers.get(lookUp.inputs[0]!)!.data as Float32Array;
  const data = new Float32Array(ids.length * width);
  ids.forEach((id, i) => {
    data.set(table.subarray(Number(id) * width, (Number(id) + 1) * width), i * width);
  });
  return ndArray(data, [1, ...shape]);
}

describe.each(names.filter((name) => reference(name).pgd !== undefined))("%s, attacked", (name) => {
  it("PGD finds what PyTorch and Foolbox find, example by example", async () => {
    const { epsilon, stepSize, steps, labels, adversarial, success, ...rest } = reference(name).pgd!;
    const [lower, upper] = rest.bounds;
    const model = await fromOnnx(bytes(name), { runtime, bounds: { lower, upper }, inputShape: rest.shape.slice(1) });
    open.push(model);
    const attack = pgd({ epsilon, steps, stepSize, randomStart: false });
    const found = await attack(model, ndArray(rest.inputs, rest.shape), untargeted(labels), { rng: createRng(0) });
    assertClose(found.adversarial, adversarial, { absolute: 1e-5 });
    expect([...found.success.data]).toEqual(success.map(Number));
  });
});
