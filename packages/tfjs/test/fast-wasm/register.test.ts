import { afterEach, describe, expect, it, vi } from "vitest";
import { registerFastGradients } from "../../src/fast-wasm/index.ts";
import { tf, useBackend } from "./backends.ts";
import { values } from "./oracles.ts";

const added = [
  "Conv2DBackpropFilter",
  "DepthwiseConv2dNativeBackpropInput",
  "DepthwiseConv2dNativeBackpropFilter",
  "UnsortedSegmentSum",
];
const replaced = [
  "Conv2DBackpropInput",
  "BatchMatMul",
  "_FusedMatMul",
  "MaxPoolGrad",
  "AvgPoolGrad",
  "Identity",
  "Tile",
];

/** Every kernel of the wasm backend by name. */
const registered = () => new Map(tf.getKernelsForBackend("wasm").map((kernel) => [kernel.kernelName, kernel]));

afterEach(() => vi.restoreAllMocks());

describe("registerFastGradients", () => {
  it("adds and replaces exactly the kernels it lists, without a warning, and puts the same objects back", async () => {
    await useBackend("wasm");
    const warn = vi.spyOn(console, "warn");
    const before = registered();
    const undo = registerFastGradients();
    const during = registered();
    const changed = [...during].filter(([name, kernel]) => before.get(name) !== kernel).map(([name]) => name);
    expect(changed.sort()).toEqual([...added, ...replaced].sort());
    for (const name of added) expect(before.has(name)).toBe(false);
    for (const name of replaced) expect(before.has(name)).toBe(true);
    undo();
    const after = registered();
    expect(after.size).toBe(before.size);
    for (const [name, kernel] of before) expect(after.get(name)).toBe(kernel);
    expect(warn).not.toHaveBeenCalled();
  });

  it("counts its calls, and undoes each once", async () => {
    await useBackend("wasm");
    const stock = tf.getKernel("BatchMatMul", "wasm");
    const first = registerFastGradients();
    const ours = tf.getKernel("BatchMatMul", "wasm");
    const second = registerFastGradients();
    expect(tf.getKernel("BatchMatMul", "wasm")).toBe(ours);
    second();
    second();
    expect(tf.getKernel("BatchMatMul", "wasm")).toBe(ours);
    first();
    expect(tf.getKernel("BatchMatMul", "wasm")).toBe(stock);
    first();
    const third = registerFastGradients();
    expect(tf.getKernel("BatchMatMul", "wasm")).not.toBe(stock);
    third();
    expect(tf.getKernel("BatchMatMul", "wasm")).toBe(stock);
  });

  it("leaves alone what was registered over it", async () => {
    await useBackend("wasm");
    const stock = tf.getKernel("MaxPoolGrad", "wasm");
    const undo = registerFastGradients();
    const theirs = { ...stock };
    tf.unregisterKernel("MaxPoolGrad", "wasm");
    tf.registerKernel(theirs);
    undo();
    expect(tf.getKernel("MaxPoolGrad", "wasm")).toBe(theirs);
    tf.unregisterKernel("MaxPoolGrad", "wasm");
    tf.registerKernel(stock);
  });

  it("says what is missing when the wasm backend's kernels are not registered", async () => {
    await useBackend("cpu");
    const stock = tf.getKernel("Conv2D", "wasm");
    tf.unregisterKernel("Conv2D", "wasm");
    try {
      expect(registerFastGradients).toThrow(
        '"backend" expected "wasm" to be registered (import "@tensorflow/tfjs-backend-wasm"), got cpu',
      );
    } finally {
      tf.registerKernel(stock);
    }
    expect(tf.getKernel("Conv2DBackpropFilter", "wasm")).toBeUndefined();
    registerFastGradients()();
  });

  it("clones without a copy, and frees the memory with the last reference", async () => {
    await useBackend("wasm");
    const undo = registerFastGradients();
    const backend = tf.backend() as unknown as { numDataIds(): number };
    const before = backend.numDataIds();
    const x = tf.tensor1d([1, 2, 3]);
    const copy = x.clone();
    expect(backend.numDataIds()).toBe(before + 1);
    x.dispose();
    expect([...copy.dataSync()]).toEqual([1, 2, 3]);
    const words = tf.tensor1d(["a", "b"]);
    const same = words.clone();
    words.dispose();
    expect(same.dataSync()).toEqual(["a", "b"]);
    tf.dispose([copy, same]);
    expect(backend.numDataIds()).toBe(before);
    undo();
  });

  it("trains a small network for hundreds of steps in the memory of the first few", async () => {
    await useBackend("wasm");
    const undo = registerFastGradients();
    const { conv2d, depthwiseConv2d, maxPooling2d, flatten, dense } = tf.layers;
    const model = tf.sequential({
      layers: [
        conv2d({ inputShape: [12, 12, 2], filters: 6, kernelSize: 3, strides: 2, padding: "same", activation: "relu" }),
        depthwiseConv2d({ kernelSize: 3, padding: "same" }),
        maxPooling2d({ poolSize: 2 }),
        flatten(),
        dense({ units: 5 }),
      ],
    });
    const optimizer = tf.train.adam(0.01);
    const x = tf.tensor4d(values([8, 12, 12, 2], 1).data, [8, 12, 12, 2]);
    const y = tf.tensor2d(values([8, 5], 2).data, [8, 5]);
    const loss = () => tf.losses.meanSquaredError(y, model.apply(x) as tf.Tensor) as tf.Scalar;
    const step = () => tf.dispose(tf.tidy(() => optimizer.minimize(loss) ?? []));
    const value = () => tf.tidy(() => loss().dataSync()[0]!);
    const backend = tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array }; numDataIds(): number };
    const state = () => [tf.memory().numTensors, backend.numDataIds(), backend.wasm.HEAPU8.byteLength];
    for (let i = 0; i < 20; i++) step();
    const early = state();
    const first = value();
    for (let i = 0; i < 300; i++) step();
    expect(state()).toEqual(early);
    const last = value();
    expect(last).toBeLessThan(first / 2);
    tf.dispose([x, y]);
    model.dispose();
    undo();
  });
});
