import { createRng, crossEntropy, linear, type NdArray, ndArray, type TrainableClassifier } from "@parapet/core";
import { assertClose, assertSameBytes } from "@parapet/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fromFunction, fromLayersModel } from "../src/index.ts";
import { record, release } from "../src/tape.ts";
import { settings, tf, use } from "./helpers/backends.ts";
import { cnn, inputs } from "./helpers/models.ts";

// Things that tfjs gets wrong, or lets its users get wrong, without a word. Each was met.

const bounds = { lower: 0, upper: 1 };
let undo = () => {};
beforeAll(async () => {
  undo = await use(settings.find(({ name }) => name === "fast wasm")!);
});
afterAll(() => undo());

/** How often each kernel runs during a call. */
async function kernels(call: () => Promise<unknown>): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const restore = tf.getKernelsForBackend(tf.getBackend()).map((config) => {
    const { kernelFunc, kernelName } = config;
    config.kernelFunc = (parameters) => {
      counts.set(kernelName, (counts.get(kernelName) ?? 0) + 1);
      return kernelFunc(parameters);
    };
    return () => {
      config.kernelFunc = kernelFunc;
    };
  });
  try {
    await call();
  } finally {
    for (const back of restore) back();
  }
  return counts;
}

describe("a gradient is one forward and one backward pass", () => {
  const x = inputs(4, [8, 8, 1]);
  const loss = crossEntropy([0, 1, 2, 0]);

  it("runs every convolution once forward, once backward, and none for the filters", async () => {
    const counts = await kernels(() => cnn().gradient(x, loss));
    expect((counts.get("Conv2D") ?? 0) + (counts.get("FusedConv2D") ?? 0)).toBe(2);
    expect(counts.get("Conv2DBackpropInput")).toBe(2);
    // The second convolution is linear, and tfjs's fused gradient would compute this too.
    expect(counts.get("Conv2DBackpropFilter")).toBeUndefined();
  });

  it("spends nothing on the weights of a linear dense layer", async () => {
    const layers = [
      tf.layers.dense({ inputShape: [6], units: 20 }),
      tf.layers.dense({ units: 9 }),
      tf.layers.dense({ units: 3, activation: "softmax" }),
    ];
    const model = fromLayersModel(tf.sequential({ layers }), { bounds });
    const counts = await kernels(() => model.gradient(inputs(4, [6]), loss));
    expect(counts.get("_FusedMatMul")).toBe(3);
    expect(counts.get("BatchMatMul")).toBe(3);
  });

  it("a step does compute them, once each", async () => {
    const counts = await kernels(() => cnn().step(x, loss));
    expect(counts.get("Conv2DBackpropFilter")).toBe(2);
    // Nobody asked for the gradient of the picture.
    expect(counts.get("Conv2DBackpropInput")).toBe(1);
  });

  it("the stock wasm backend differentiates a linear convolution with respect to its input, too", async () => {
    const fast = await cnn().gradient(x, loss);
    undo();
    try {
      expect(tf.getKernel("Conv2DBackpropFilter", "wasm")).toBeUndefined();
      const stock = await cnn().gradient(x, loss);
      assertClose(stock.gradient, fast.gradient, { absolute: 1e-6 });
      expect(tf.getKernel("Conv2DBackpropFilter", "wasm")).toBeUndefined();
    } finally {
      undo = await use(settings.find(({ name }) => name === "fast wasm")!);
    }
  });
});

describe("second derivatives by tf.grad are silently wrong, so a model refuses to be inside one", () => {
  it("tfjs itself: (x tanh x)'' at 0.7 is not 0.7324", () => {
    const second = tf.grad((x: tf.Tensor) => tf.grad((v: tf.Tensor) => tf.mul(v, tf.tanh(v)))(x));
    const value = tf.tidy(() => second(tf.scalar(0.7)).dataSync()[0]!);
    // Should this fail one day, tfjs has mended it, and the ban can be thought over.
    expect(Math.abs(value - 0.7324)).toBeGreaterThan(0.1);
  });

  it("is refused", () => {
    const nested = () =>
      tf.grad((x: tf.Tensor) => {
        const pass = record(() => tf.square(x));
        release(pass);
        return x;
      })(tf.scalar(1));
    expect(() => tf.tidy(nested)).toThrow("inside tf.grad()");
  });
});

describe("logits are exact where the softmax saturates", () => {
  it.each(["softmax", "layer", "activation"])("%s", async (head) => {
    const kernelInitializer = tf.initializers.glorotUniform({ seed: 5 });
    const make = (probabilities: boolean) => {
      const model = tf.sequential({
        layers: [
          tf.layers.dense({
            inputShape: [4],
            units: 3,
            kernelInitializer,
            ...(probabilities && head === "softmax" ? { activation: "softmax" } : {}),
          }),
          ...(probabilities && head === "layer" ? [tf.layers.softmax()] : []),
          ...(probabilities && head === "activation" ? [tf.layers.activation({ activation: "softmax" })] : []),
        ],
      });
      model.setWeights(model.getWeights().map((weight) => tf.mul(weight, 1000)));
      return { model, classifier: fromLayersModel(model, { bounds }) };
    };
    const x = inputs(3, [4]);
    const [plain, ending] = [make(false), make(true)];
    const expected = await plain.classifier.gradient(x, crossEntropy([0, 1, 2]));
    const actual = await ending.classifier.gradient(x, crossEntropy([0, 1, 2]));
    // The model itself answers with ones and zeros ...
    const probabilities = await (ending.model.predict(tf.tensor(x.data.slice(), [3, 4])) as tf.Tensor).data();
    expect(probabilities.filter((p) => p === 1).length).toBeGreaterThan(0);
    // ... and log(softmax) of those is -Infinity, its gradient NaN.
    assertSameBytes(actual.logits, expected.logits);
    assertSameBytes(actual.gradient, expected.gradient);
    expect(actual.gradient.data.some((value) => Math.abs(value) > 1)).toBe(true);
  });

  it("the model is left as it was", async () => {
    const softmax = tf.layers.softmax();
    const dense = tf.layers.dense({ inputShape: [4], units: 3, activation: "softmax" });
    const model = tf.sequential({ layers: [dense, softmax] });
    const before = Object.keys(softmax).sort();
    const wrapped = fromLayersModel(model, { bounds });
    await wrapped.gradient(inputs(2, [4]), crossEntropy([0, 1]));
    expect(Object.keys(softmax).sort()).toEqual(before);
    expect((dense as unknown as { activation: { getClassName(): string } }).activation.getClassName()).toBe("softmax");
    expect((dense.output as tf.SymbolicTensor).shape).toEqual([null, 3]);
  });

  it.each([
    ["several sigmoids", { units: 3, activation: "sigmoid" as const }],
    ["a softmax over one class", { units: 1, activation: "softmax" as const }],
    ["a hard sigmoid", { units: 1, activation: "hardSigmoid" as const }],
  ])("%s: refused, with a way out", (_, head) => {
    const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [4], ...head })] });
    expect(() => fromLayersModel(model, { bounds })).toThrow(/expected logits.*fromFunction/);
    expect(() => fromLayersModel(model, { bounds })).toThrow(
      expect.objectContaining({ code: "tfjs/unsupported-model" }),
    );
  });
});

describe("batch-norm statistics move in a step and at no other time", () => {
  it("not by a gradient or logits, whatever the mode", async () => {
    const model = cnn();
    const x = inputs(4, [8, 8, 1]);
    const before = (await model.snapshot()).buffers;
    for (const mode of ["inference", "training"] as const) {
      await model.gradient(x, crossEntropy([0, 1, 2, 0]), { mode });
      await model.logits(x, { mode });
      (await model.linearize(x, { mode })).release();
    }
    await model.parameterGradients(x, crossEntropy([0, 1, 2, 0]));
    const after = (await model.snapshot()).buffers;
    for (const [name, array] of before) assertSameBytes(after.get(name)!, array);
    await model.step(x, crossEntropy([0, 1, 2, 0]));
    const moved = (await model.snapshot()).buffers;
    expect([...moved].some(([name, { data }]) => data.some((value, i) => value !== before.get(name)!.data[i]))).toBe(
      true,
    );
  });

  it("parts of a loss share one batch, or have one each", async () => {
    const x = inputs(4, [8, 8, 1]);
    const run = async (parts: "joint" | "separate") => {
      const model = cnn();
      const loss = { ...linear(ndArray(new Float32Array(12).fill(0.5), [4, 3])) };
      const two = { ...loss, count: 2, parts: 2, value: () => ndArray([0, 0]) };
      return (await model.parameterGradients(x, two, { parts })).logits;
    };
    const [joint, separate] = [await run("joint"), await run("separate")];
    expect(joint.data.some((value, i) => Math.abs(value - separate.data[i]!) > 1e-3)).toBe(true);
  });
});

describe("dropout draws from the keys", () => {
  let model: TrainableClassifier;
  const x = inputs(4, [6]);
  beforeEach(() => {
    const layers = [
      tf.layers.dense({
        inputShape: [6],
        units: 30,
        activation: "relu",
        kernelInitializer: tf.initializers.glorotUniform({ seed: 2 }),
      }),
      tf.layers.dropout({ rate: 0.5, seed: 1 }),
      tf.layers.dense({ units: 3, kernelInitializer: tf.initializers.glorotUniform({ seed: 3 }) }),
    ];
    model = fromLayersModel(tf.sequential({ layers }), { bounds, optimizer: tf.train.sgd(0.1) });
  });
  const logits = (rows: NdArray, keys: number[]) =>
    model.logits(rows, { mode: "training", keys: Uint32Array.from(keys) });

  it("same keys, same mask; other keys, another; a row's mask is its own", async () => {
    const first = await logits(x, [1, 2, 3, 4]);
    assertSameBytes(await logits(x, [1, 2, 3, 4]), first);
    expect((await logits(x, [5, 2, 3, 4])).data.slice(0, 3)).not.toEqual(first.data.slice(0, 3));
    const last = { ...x, shape: [1, 6], data: x.data.slice(18) };
    expect((await logits(last, [4])).data).toEqual(first.data.slice(9));
  });

  it("refuses training mode without keys, and needs none in inference", async () => {
    await expect(model.step(x, crossEntropy([0, 1, 2, 0]))).rejects.toThrow('"keys" expected one random key per row');
    const still = await model.logits(x);
    assertSameBytes(await model.logits(x, { keys: Uint32Array.of(1, 2, 3, 4) }), still);
  });

  it("keeps a share of 1 - rate, scaled to the same mean", async () => {
    const ones = tf.sequential({ layers: [tf.layers.dropout({ inputShape: [1000], rate: 0.3 })] });
    const wide = fromLayersModel(ones, { bounds });
    const { data } = await wide.logits(ndArray(new Float32Array(1000).fill(1), [1, 1000]), {
      mode: "training",
      keys: Uint32Array.of(9),
    });
    const kept = data.filter((value) => value !== 0);
    expect(kept.every((value) => value === Math.fround(1 / 0.7))).toBe(true);
    // Binomial(1000, 0.7): five standard deviations are 72; a fair mask misses that once in two million seeds.
    expect(Math.abs(kept.length - 700)).toBeLessThan(72);
  });
});

describe("the learning rate of a step is obeyed", () => {
  it.each([
    ["sgd", () => tf.train.sgd(0.1)],
    ["momentum", () => tf.train.momentum(0.1, 0.9)],
    ["adam", () => tf.train.adam(0.1)],
    ["rmsprop", () => tf.train.rmsprop(0.1)],
    ["adagrad", () => tf.train.adagrad(0.1)],
  ])("%s", async (_, optimizer) => {
    const make = () => {
      const kernelInitializer = tf.initializers.glorotUniform({ seed: 4 });
      const layers = [tf.layers.dense({ inputShape: [6], units: 3, kernelInitializer })];
      return fromLayersModel(tf.sequential({ layers }), { bounds, optimizer: optimizer() });
    };
    const x = inputs(4, [6]);
    const loss = crossEntropy([0, 1, 2, 0]);
    const moved = async (learningRate?: number) => {
      const model = make();
      const before = (await model.snapshot()).weights.get("0:kernel")!.data;
      await model.step(x, loss, learningRate === undefined ? {} : { learningRate });
      const after = (await model.snapshot()).weights.get("0:kernel")!.data;
      return after.map((value, i) => value - before[i]!);
    };
    const own = await moved();
    assertClose(
      (await moved(0.05)).map((value) => 2 * value),
      own,
      { absolute: 1e-6 },
    );
    expect((await moved(0)).every((value) => value === 0)).toBe(true);
    // And the next step without one goes back to the optimizer's own.
    const model = make();
    await model.step(x, loss, { learningRate: 0 });
    const before = (await model.snapshot()).weights.get("0:kernel")!.data;
    await model.step(x, loss);
    expect((await model.snapshot()).weights.get("0:kernel")!.data).not.toEqual(before);
  });
});

describe("nothing leaks when things go wrong", () => {
  const x = inputs(3, [6]);
  const weights = () => tf.tidy(() => tf.variable(tf.randomUniform([6, 3], -1, 1, "float32", 1)));

  it.each([
    [
      "the model throws",
      (w: tf.Tensor2D) => (v: tf.Tensor) => {
        tf.matMul(tf.square(v) as tf.Tensor2D, w);
        throw new Error("thrown by the model");
      },
      "thrown by the model",
    ],
    [
      "an operation has no gradient",
      (w: tf.Tensor2D) => (v: tf.Tensor) => tf.matMul(tf.topk(tf.square(v), 6).values as tf.Tensor2D, w),
      "gradient function not found",
    ],
    [
      "the shape of the logits is wrong",
      () => (v: tf.Tensor) => tf.square(v),
      '"logits of the model" expected float32 [3, 3]',
    ],
  ])("%s", async (_, make, message) => {
    const w = weights();
    const model = fromFunction(make(w as unknown as tf.Tensor2D), { inputShape: [6], numClasses: 3, bounds });
    const before = tf.memory().numTensors;
    await expect(model.gradient(x, crossEntropy([0, 1, 2]))).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
    w.dispose();
  });

  it("the wasm heap does not grow with the number of steps", async () => {
    const model = cnn();
    const batch = inputs(16, [8, 8, 1]);
    const loss = crossEntropy(Array.from({ length: 16 }, (_, i) => i % 3));
    const heap = () => (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length;
    for (let i = 0; i < 20; i++) await model.step(batch, loss);
    const [tensors, bytes] = [tf.memory().numTensors, heap()];
    for (let i = 0; i < 200; i++) await model.step(batch, loss);
    expect([tf.memory().numTensors, heap()]).toEqual([tensors, bytes]);
  });
});

describe("what is handed over is not kept, what is given is yours", () => {
  it("the cpu backend aliases buffers; a model does not", async () => {
    const back = await use(settings.find(({ name }) => name === "cpu")!);
    const seen: Float32Array[] = [];
    const model = fromFunction(
      (v) => {
        seen.push(v.dataSync() as Float32Array);
        return v;
      },
      { inputShape: [3], numClasses: 3, bounds },
    );
    const x = ndArray([0.1, 0.2, 0.3], [1, 3]);
    const { data } = await model.logits(x);
    data[0] = 9;
    seen[0]![1] = 9;
    expect([...x.data]).toEqual([0.1, 0.2, 0.3].map(Math.fround));
    back();
    await use(settings.find(({ name }) => name === "wasm")!);
  });
});

describe("abort", () => {
  it("a timer can stop a long loop of gradients on a backend whose promises are microtasks", async () => {
    const model = cnn();
    const controller = new AbortController();
    const x = inputs(16, [8, 8, 1]);
    const loss = crossEntropy(new Array(16).fill(0));
    setTimeout(() => controller.abort(new Error("enough")), 50);
    let calls = 0;
    const loop = async () => {
      for (; calls < 100_000; calls++) await model.gradient(x, loss, { signal: controller.signal });
    };
    await expect(loop()).rejects.toThrow("enough");
    expect(calls).toBeGreaterThan(0);
    expect(calls).toBeLessThan(100_000);
  });
});

describe("misuse", () => {
  it("a disposed model says so", async () => {
    const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [6], units: 3 })] });
    const wrapped = fromLayersModel(model, { bounds });
    model.dispose();
    await expect(wrapped.logits(inputs(2, [6]))).rejects.toMatchObject({ code: "tfjs/model-disposed" });
  });

  it("models that are no classifier of one input are refused", () => {
    const two = [tf.input({ shape: [2] }), tf.input({ shape: [2] })];
    const joined = tf.layers.concatenate().apply(two) as tf.SymbolicTensor;
    expect(() => fromLayersModel(tf.model({ inputs: two, outputs: joined }), { bounds })).toThrow(
      '"model" expected one input and one output, got "2 inputs, 1 outputs"',
    );
    const map = tf.sequential({ layers: [tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 2, kernelSize: 3 })] });
    expect(() => fromLayersModel(map, { bounds })).toThrow('"model" expected an output of shape [n, classes]');
    const open = tf.sequential({
      layers: [tf.layers.globalAveragePooling2d({ inputShape: [null, null, 3] as unknown as number[] })],
    });
    expect(() => fromLayersModel(open, { bounds })).toThrow(
      '"inputShape" expected given, because the model leaves axes open',
    );
    expect(() => fromLayersModel(open, { bounds: { lower: 1, upper: 0 }, inputShape: [4, 4, 3] })).toThrow(
      '"bounds" expected lower <= upper',
    );
  });

  it("runs inside the caller's tidy without losing anything to it", async () => {
    const model = cnn();
    const x = inputs(2, [8, 8, 1]);
    const expected = await model.logits(x);
    let pending: Promise<NdArray> | undefined;
    tf.tidy(() => {
      pending = model.logits(x);
    });
    assertSameBytes(await pending!, expected);
  });

  it("calls that are not awaited run in order", async () => {
    const model = cnn();
    const rng = createRng(3);
    const x = inputs(4, [8, 8, 1]);
    const loss = crossEntropy(Int32Array.from({ length: 4 }, () => rng.integer(3)));
    const [before, , after] = await Promise.all([model.logits(x), model.step(x, loss), model.logits(x)]);
    expect(before.data).not.toEqual(after.data);
    assertSameBytes(await model.logits(x), after);
  });
});
