import { expected } from "@parapet/core";
import { freezing } from "../metadata.ts";
import { brief, malformed } from "../problem.ts";
import { readModel } from "../proto/read.ts";
import { writeModel } from "../proto/write.ts";
import type { LayersModelArtifacts, LayersWeightSpec, WeightArray } from "./artifacts.ts";
import { convert, type Source } from "./conversion.ts";
import { toLayersOrder } from "./permute.ts";
import { decodeWeight } from "./weights.ts";

/**
 * Writes a tfjs layers model as an ONNX file (operator set 18), for `fromOnnx` and every other reader of ONNX.
 *
 * Sequential and functional models, with branches, shared layers, nested models, several inputs and outputs. Inputs and
 * outputs keep tfjs's names and its shapes, `[batch, height, width, channels]`, the batch of any size; inside, channels
 * lie first, as ONNX wants them. Images are transposed once, at the start, not at all where they have one channel; behind
 * `Flatten` it is the kernel of the next `Dense` whose rows are reordered. Inputs that only go into embeddings are int32.
 *
 * Weights are initializers with tfjs's names. Where a weight is laid out in another way, `#`, the shape it is read in and
 * the order of its axes follow: `conv2d/kernel#3x3x1x32:3,2,0,1`. Quantized weights are dequantized. Batch normalisation
 * stays a node of its own; what a layer leaves out (`scale: false`) is a `Constant`, not an initializer, for it must not
 * be trained. Layers that are not trainable say so in the file, and `fromOnnx` leaves them as they are. Dropout is a node,
 * which does something while training only; noise, and dropout of a noise shape, are left out, in training, too.
 *
 * @param artifacts - what tfjs gives a save handler: `modelTopology` as parsed JSON, `weightSpecs`, `weightData`
 * @returns the file
 * @throws TypeError when these are no artifacts
 * @throws ParapetError `"onnx/unsupported"` for a layer or a setting that is not converted, by name: recurrent and
 *   three-dimensional layers, masks, and what tfjs ignores but Keras does not (a ReLU's slope, a depthwise dilation)
 * @throws ParapetError `"onnx/malformed"` when topology or weights are damaged, `"onnx/too-large"` beyond 20,000 layers
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs";
 * import { ndArray } from "@parapet/core";
 * import { convertLayersModel, fromOnnx } from "@parapet/onnx";
 * import * as runtime from "onnxruntime-node";
 * await tf.setBackend("cpu");
 * const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [2], units: 3 })] });
 * const artifacts = await new Promise<tf.io.ModelArtifacts>((resolve) => {
 *   const modelArtifactsInfo = { dateSaved: new Date(), modelTopologyType: "JSON" } as const;
 *   model.save(tf.io.withSaveHandler(async (saved) => (resolve(saved), { modelArtifactsInfo })));
 * });
 * const classifier = await fromOnnx(convertLayersModel(artifacts), { runtime, bounds: { lower: 0, upper: 1 } });
 * const logits = await classifier.logits(ndArray([0.2, 0.8], [1, 2]));
 * const predicted = (model.predict(tf.tensor([[0.2, 0.8]])) as tf.Tensor).dataSync();
 * console.log(predicted.every((value, i) => Math.abs(value - logits.data[i]!) < 1e-6)); // => true
 * await classifier.release();
 * ```
 *
 * Source: https://github.com/onnx/onnx/blob/main/docs/Operators.md and tfjs-layers 4.22. Differences from the source:
 * batch normalisation along an axis that is not the last follows the definition; tfjs's cpu backend takes the wrong
 * statistics.
 */
export function convertLayersModel(artifacts: LayersModelArtifacts): Uint8Array {
  const { graph, frozen } = convert(checked(artifacts ?? {}));
  const metadata = freezing(frozen);
  return writeModel({ irVersion: 9, opsets: new Map([["", 18]]), producer: "parapet", metadata, graph });
}

/** Artifacts with new weights, and everything else of `A`. */
export type WithWeights<A> = Omit<A, "weightSpecs" | "weightData"> & {
  weightSpecs: { name: string; shape: number[]; dtype: "float32" }[];
  weightData: ArrayBuffer;
};

/**
 * The way back from `convertLayersModel`: artifacts of the same topology with the weights of the ONNX model, trained or
 * changed, which `tf.loadLayersModel(tf.io.fromMemory(...))` takes. Layouts and permutations are undone. The saved state
 * of an optimizer is left out: it belongs to other weights.
 *
 * @param artifacts - what was converted
 * @param weights - an ONNX file, as `toOnnx` writes it, which must hold every weight; or weights by the names of their
 *   initializers, where those that are missing keep their values and constants of the file are passed over
 * @returns the artifacts with new `weightSpecs` and `weightData`, float32; nothing is shared with `weights`
 * @throws TypeError when a name is none of the converted model's, or a shape differs
 * @throws ParapetError as `convertLayersModel`; `"onnx/malformed"` when the file lacks a weight
 *
 * @example
 * ```ts
 * import { convertLayersModel, weightsToArtifacts } from "@parapet/onnx";
 * const config = { name: "dense", units: 1, use_bias: false, batch_input_shape: [null, 2] };
 * const artifacts = {
 *   modelTopology: { class_name: "Sequential", config: { layers: [{ class_name: "Dense", config }] } },
 *   weightSpecs: [{ name: "dense/kernel", shape: [2, 1], dtype: "float32" }],
 *   weightData: Float32Array.of(3, 4).buffer,
 * };
 * const same = weightsToArtifacts(artifacts, convertLayersModel(artifacts));
 * console.log(new Float32Array(same.weightData).join(" ")); // => 3 4
 * const kernel = { shape: [2, 1], data: Float32Array.of(5, 6) };
 * const { weightData } = weightsToArtifacts(artifacts, new Map([["dense/kernel", kernel]]));
 * console.log(new Float32Array(weightData).join(" ")); // => 5 6
 * ```
 *
 * Source: none; the inverse of `convertLayersModel`.
 */
export function weightsToArtifacts<A extends LayersModelArtifacts>(
  artifacts: A,
  weights: ReadonlyMap<string, WeightArray> | Uint8Array,
): WithWeights<A> {
  const conversion = convert(checked(artifacts ?? {}));
  const given = new Map<object, Float32Array>();
  const byName = weights instanceof Uint8Array ? weightsOf(weights, conversion.sources.keys()) : weights;
  for (const [name, { shape, data }] of byName) {
    const source = conversion.sources.get(name);
    if (source === undefined) {
      if (conversion.graph.initializers.has(name)) continue;
      throw new TypeError(expected("weights", "names of initializers of the converted model", name));
    }
    given.set(source.weight, toLayersOrder(sameShape(name, shape, data, source), source.layout));
  }
  const values = conversion.weights.map((weight) => given.get(weight) ?? decodeWeight(weight));
  const data = new Float32Array(values.reduce((total, { length }) => total + length, 0));
  let offset = 0;
  for (const value of values) {
    data.set(value, offset);
    offset += value.length;
  }
  const weightSpecs = conversion.weights.map(({ spec }) => ({
    name: spec.name,
    shape: [...spec.shape],
    dtype: "float32" as const,
  }));
  return { ...artifacts, weightSpecs, weightData: data.buffer };
}

function weightsOf(file: Uint8Array, names: Iterable<string>): ReadonlyMap<string, WeightArray> {
  const { initializers } = readModel(file).graph;
  const weights = new Map<string, WeightArray>();
  for (const name of names) {
    const tensor = initializers.get(name);
    if (!(tensor?.data instanceof Float32Array)) {
      throw malformed("weights", `an ONNX file with the weight "${brief(name)}" in float32`, tensor?.dtype ?? "none");
    }
    weights.set(name, { shape: tensor.shape, data: tensor.data });
  }
  return weights;
}

function sameShape(name: string, shape: readonly number[], data: Float32Array, { layout }: Source): Float32Array {
  const wanted = layout.shape;
  if (shape.length !== wanted.length || !wanted.every((length, i) => length === shape[i])) {
    throw new TypeError(expected(`shape of "${name}"`, `[${wanted.join(", ")}]`, shape));
  }
  const size = wanted.reduce((total, length) => total * length, 1);
  if (data.length !== size) throw new TypeError(expected(`data of "${name}"`, `${size} values`, data.length));
  return data;
}

/** Artifacts whose topology and specifications are nothing but JSON: no holes, no accessors, no cycles. */
function checked({ modelTopology, weightSpecs = [], weightData = [] }: LayersModelArtifacts): LayersModelArtifacts {
  const binary = Object.prototype.toString.call(modelTopology) === "[object ArrayBuffer]";
  if (typeof modelTopology !== "object" || modelTopology === null || binary) {
    throw new TypeError(expected("modelTopology", "the topology as parsed JSON", modelTopology));
  }
  try {
    return { ...JSON.parse(JSON.stringify({ modelTopology, weightSpecs })), weightData };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw malformed("modelTopology", "JSON of a depth that can be read", "a deeper one");
  }
}

export type { LayersModelArtifacts, LayersWeightSpec, WeightArray };
