import { createRng, ParapetError, type Rng } from "@parapet/core";
import { beforeAll, describe, expect, it } from "vitest";
import { convertLayersModel, type LayersModelArtifacts, weightsToArtifacts } from "../../src/convert/layers-model.ts";
import { artifactsOf, tf } from "./helpers.ts";
import { autoencoder, branches, shared, text } from "./whole-models.ts";

const { layers } = tf;

beforeAll(async () => {
  await tf.setBackend("cpu");
});

/** A model of one layer, by its JSON. */
function sequential(className: string, config: object, more: Partial<LayersModelArtifacts> = {}): LayersModelArtifacts {
  const layer = { class_name: className, config: { name: "it", batch_input_shape: [null, 4, 4, 2], ...config } };
  return { modelTopology: { class_name: "Sequential", config: { name: "model", layers: [layer] } }, ...more };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return error instanceof ParapetError ? error.code : (error as Error).name;
  }
  return "none";
}

describe("convertLayersModel refuses", () => {
  it.each([
    ["a layer that is not converted", "LSTM", { units: 3 }],
    ["a layer of a class of one's own", "toString", {}],
    ["an activation of one's own", "Activation", { activation: "mine" }],
    ["masks", "Embedding", { input_dim: 3, output_dim: 2, mask_zero: true }],
    ["a slope that tfjs ignores", "ReLU", { negative_slope: 0.1 }],
    ["a threshold that tfjs ignores", "ReLU", { threshold: 0.1 }],
    ["a dilation that tfjs ignores", "DepthwiseConv2D", { kernel_size: 3, dilation_rate: [2, 2] }],
    ["groups that tfjs ignores", "Conv2D", { kernel_size: 3, filters: 2, groups: 2 }],
    ["causal padding", "Conv1D", { kernel_size: 3, filters: 2, padding: "causal", batch_input_shape: [null, 4, 2] }],
    ["an axis that tfjs takes for the last", "Concatenate", { axis: -2 }],
    ["inputs of strings", "Dropout", { dtype: "string" }],
  ])("%s, by name", (_, className, config) => {
    const artifacts = sequential(className, config);
    const run = () => convertLayersModel(artifacts);
    if (className === "Concatenate") return expect(codeOf(run)).toBe("onnx/malformed");
    expect(codeOf(run)).toBe("onnx/unsupported");
    expect(run).toThrow('"it');
  });

  it.each([
    ["no artifacts", undefined],
    ["no topology", {}],
    ["a topology of bytes", { modelTopology: new ArrayBuffer(8) }],
    ["weights that are no buffers", { ...sequential("Dropout", { rate: 0.5 }), weightData: "weights" }],
  ])("%s", (_, artifacts) => {
    expect(() => convertLayersModel(artifacts as LayersModelArtifacts)).toThrow(TypeError);
  });

  it.each<readonly [string, LayersModelArtifacts]>([
    ["a missing weight", sequential("Dense", { units: 3 })],
    [
      "a weight of another shape",
      sequential(
        "Dense",
        { units: 3, use_bias: false },
        { weightSpecs: [{ name: "it/kernel", shape: [3, 3], dtype: "float32" }], weightData: new ArrayBuffer(36) },
      ),
    ],
    ["too few bytes", sequential("Dropout", {}, { weightSpecs: [{ name: "a", shape: [2], dtype: "float32" }] })],
    ["too many bytes", sequential("Dropout", {}, { weightData: new ArrayBuffer(4) })],
    [
      "huge weights",
      sequential("Dropout", {}, { weightSpecs: [{ name: "a", shape: [2 ** 40, 2 ** 40], dtype: "float32" }] }),
    ],
    ["a window larger than the image", sequential("MaxPooling2D", { pool_size: [9, 9] })],
    ["an input of no shape", sequential("Dropout", { batch_input_shape: null })],
    ["a shape that does not fit", sequential("Reshape", { target_shape: [5] })],
    ["a layer without a configuration", sequential("Sequential", {})],
  ])("%s", (_, artifacts) => {
    expect(codeOf(() => convertLayersModel(artifacts))).toBe("onnx/malformed");
  });

  it("a shape with a hole, which JSON has not", () => {
    const shape = [2, 3];
    delete shape[0];
    const weightSpecs = [{ name: "a", shape, dtype: "float32" }];
    const artifacts = sequential("Dropout", {}, { weightSpecs, weightData: new ArrayBuffer(24) });
    expect(codeOf(() => convertLayersModel(artifacts))).toBe("onnx/malformed");
  });

  it("a call in training mode", async () => {
    const input = tf.input({ shape: [4] });
    const output = layers.dropout({ rate: 0.5 }).apply(input, { training: true }) as tf.SymbolicTensor;
    const artifacts = await artifactsOf(tf.model({ inputs: input, outputs: output }));
    expect(codeOf(() => convertLayersModel(artifacts))).toBe("onnx/unsupported");
  });

  it("models in models in models that grow without end", () => {
    let model: object = { class_name: "Activation", config: { name: "a", activation: "relu" } };
    for (let i = 0; i < 24; i++) {
      const start = { class_name: "InputLayer", name: "x", config: { name: "x", batch_input_shape: [null, 2] } };
      const twice = {
        ...model,
        name: "inner",
        inbound_nodes: [[["x", 0, 0, {}]], [["inner", i === 0 ? 0 : 1, 0, {}]]],
      };
      const graph = { input_layers: [["x", 0, 0]], output_layers: [["inner", i === 0 ? 1 : 2, 0]] };
      model = {
        class_name: "Model",
        config: { name: "m", layers: [{ ...start, inbound_nodes: [] }, twice], ...graph },
      };
    }
    expect(codeOf(() => convertLayersModel({ modelTopology: model }))).toBe("onnx/too-large");
  });
});

describe("weightsToArtifacts refuses", () => {
  const artifacts = sequential(
    "Dense",
    { units: 1, use_bias: false, batch_input_shape: [null, 2] },
    { weightSpecs: [{ name: "it/kernel", shape: [2, 1], dtype: "float32" }], weightData: new ArrayBuffer(8) },
  );
  it("names, shapes and lengths that are not the model's", () => {
    const back = (name: string, shape: readonly number[], length: number) =>
      codeOf(() => weightsToArtifacts(artifacts, new Map([[name, { shape, data: new Float32Array(length) }]])));
    expect(back("it/kernel", [2, 1], 2)).toBe("none");
    expect(back("it/bias", [1], 1)).toBe("TypeError");
    expect(back("it/kernel", [1, 2], 2)).toBe("TypeError");
    expect(back("it/kernel", [2, 1], 3)).toBe("TypeError");
  });

  it("a file without the model's weights", () => {
    const other = convertLayersModel(sequential("Dropout", { rate: 0.5 }));
    expect(codeOf(() => weightsToArtifacts(artifacts, other))).toBe("onnx/malformed");
  });
});

describe("quantized weights", () => {
  const values = Float32Array.of(-1, 0.25, 2, 65504, -(2 ** -24), 0);
  const dense = (quantization: object | undefined, weightData: ArrayBuffer | ArrayBuffer[]) => {
    const weightSpecs = [{ name: "it/kernel", shape: [6, 1], dtype: "float32", ...(quantization && { quantization }) }];
    const config = { units: 1, use_bias: false, batch_input_shape: [null, 6] };
    const artifacts = sequential("Dense", config, { weightSpecs: weightSpecs as never, weightData });
    return [...new Float32Array(weightsToArtifacts(artifacts, new Map()).weightData)];
  };

  it("are read as halves, bytes and shorts; from several buffers", () => {
    expect(dense(undefined, values.buffer)).toEqual([...values]);
    expect(dense(undefined, [values.buffer.slice(0, 7), values.buffer.slice(7)])).toEqual([...values]);
    const halves = Uint16Array.of(0xbc00, 0x3400, 0x4000, 0x7bff, 0x8001, 0);
    expect(dense({ dtype: "float16" }, halves.buffer)).toEqual([...values]);
    const expected = [-1, -0.5, 0, 0.5, 1, 126.5];
    const bytes = Uint8Array.of(0, 1, 2, 3, 4, 255);
    expect(dense({ dtype: "uint8", scale: 0.5, min: -1 }, bytes.buffer)).toEqual(expected);
    expect(dense({ dtype: "uint16", scale: 0.5, min: -1 }, Uint16Array.from(bytes).buffer)).toEqual(expected);
    expect(codeOf(() => dense({ dtype: "uint8" }, bytes.buffer))).toBe("onnx/malformed");
    expect(codeOf(() => dense({ dtype: "int4" }, bytes.buffer))).toBe("onnx/unsupported");
  });
});

describe("damaged artifacts", () => {
  it("give bytes or a typed error, 3,000 times", { timeout: 120_000 }, async () => {
    const rng = createRng(21);
    const outcomes = new Map<string, number>();
    for (const make of [autoencoder, branches, shared, text]) {
      const artifacts = await artifactsOf(make());
      const source = JSON.stringify({ ...artifacts, weightData: undefined });
      for (let i = 0; i < 750; i++) {
        const damaged = JSON.parse(source) as Record<string, unknown>;
        for (let n = rng.integer(3); n >= 0; n--) mutate(damaged, rng);
        const mutant = { weightData: artifacts.weightData, ...damaged } as LayersModelArtifacts;
        const outcome = codeOf(() => convertLayersModel(mutant));
        expect(["none", "TypeError", "onnx/malformed", "onnx/unsupported", "onnx/too-large"]).toContain(outcome);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    }
    for (const outcome of ["none", "onnx/malformed", "onnx/unsupported"]) {
      expect(outcomes.get(outcome), outcome).toBeGreaterThan(100);
    }
  });
});

const odd = [null, -1, 0, 1.5, 2, 2 ** 31, 2 ** 60, Number.MAX_VALUE, "", "x", "same", "__proto__", true, [], [[]], {}];

/** Replaces, removes or copies something somewhere in a JSON value. */
function mutate(json: object, rng: Rng): void {
  const places: [holder: Record<string, unknown>, key: string][] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const key of Object.keys(value)) {
      places.push([value as Record<string, unknown>, key]);
      visit((value as Record<string, unknown>)[key]);
    }
  };
  visit(json);
  const [holder, key] = places[rng.integer(places.length)]!;
  const [other, otherKey] = places[rng.integer(places.length)]!;
  const kind = rng.integer(4);
  if (kind === 0) delete holder[key];
  else if (kind === 1) holder[key] = odd[rng.integer(odd.length)];
  else if (kind === 2) holder[key] = JSON.parse(JSON.stringify(other[otherKey] ?? null));
  else if (typeof holder[key] === "number") holder[key] = (holder[key] as number) + rng.integer(5) - 2;
  else if (Array.isArray(holder)) holder.splice(Number(key), 1);
}
