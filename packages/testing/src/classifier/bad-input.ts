import { type Classifier, crossEntropy, type DifferentiableClassifier, type DType, type NdArray } from "@parapet/core";
import { refuses } from "../law.ts";
import { type Check, type Checks, copyOf, type Subject } from "./subject.ts";

/** Inputs that no model may answer. Made from good ones, of which there are at least three. */
const bad: Readonly<Record<string, (x: NdArray) => NdArray<DType>>> = {
  "a NaN": (x) => withFirst(x, Number.NaN),
  "an infinite value": (x) => withFirst(x, Number.POSITIVE_INFINITY),
  "the wrong shape": (x) => ({
    dtype: "float32",
    shape: [...x.shape, 1, 2],
    data: new Float32Array(2 * x.data.length),
  }),
  "a missing batch axis": (x) => ({
    dtype: "float32",
    shape: x.shape.slice(1),
    data: x.data.slice(0, x.data.length / x.shape[0]!),
  }),
  "a length that is not the shape's": (x) => ({ ...x, data: x.data.slice(1) }),
  "the wrong dtype": (x) => ({ dtype: "int32", shape: x.shape, data: Int32Array.from(x.data) }),
  "an empty batch": (x) => ({ dtype: "float32", shape: [0, ...x.shape.slice(1)], data: new Float32Array(0) }),
};

const refused =
  (name: string): Check<Classifier> =>
  async ({ model, x, options, same }) => {
    const before = await model.logits(x, options(x));
    const input = bad[name]!(x) as NdArray;
    await refuses(`logits of ${name}`, () => model.logits(input));
    await refuses(`labels of ${name}`, () => model.labels(input));
    same(await model.logits(x, options(x)), before);
  };

const refusedByGradient =
  (name: string): Check<DifferentiableClassifier> =>
  async (subject) => {
    const { model, x, labels } = subject;
    const input = bad[name]!(x) as NdArray;
    await stillWorks(subject, async () => {
      await refuses(`gradient at ${name}`, () => model.gradient(input, crossEntropy(labels)));
      await refuses(`linearize at ${name}`, () => model.linearize(input));
    });
  };

/** What no classifier accepts: a typed error says so, and the model goes on. */
export const badInput: Checks<Classifier> = Object.fromEntries(
  Object.keys(bad).map((name) => [`logits and labels refuse ${name}, and go on`, refused(name)]),
);

/** What no white box accepts. */
export const badGradients: Checks<DifferentiableClassifier> = {
  ...Object.fromEntries(
    Object.keys(bad).map((name) => [`gradient and linearize refuse ${name}, and go on`, refusedByGradient(name)]),
  ),

  "gradient refuses a label that is no class, and goes on": async (subject) => {
    const { model, x, labels, options } = subject;
    const wrong = labels.map((label, i) => (i === 1 ? model.numClasses : label));
    await stillWorks(subject, () =>
      refuses("gradient with label = numClasses", () => model.gradient(x, crossEntropy(wrong), options(x))),
    );
  },

  "gradient refuses a loss of another count, and goes on": async (subject) => {
    const { model, x, labels, options } = subject;
    await stillWorks(subject, () =>
      refuses("gradient with a loss of n - 1 values", () =>
        model.gradient(x, crossEntropy(labels.slice(1)), options(x)),
      ),
    );
  },
};

async function stillWorks(
  { model, x, labels, options, same }: Subject<DifferentiableClassifier>,
  misuse: () => Promise<void>,
): Promise<void> {
  const before = await model.gradient(x, crossEntropy(labels), options(x));
  await misuse();
  const after = await model.gradient(x, crossEntropy(labels), options(x));
  same(after.gradient, before.gradient);
  same(after.logits, before.logits);
}

function withFirst(x: NdArray, value: number): NdArray {
  const copy = copyOf(x);
  copy.data[copy.data.length - 1] = value;
  return copy;
}
