import { createRng, type Rng, sizeOf } from "@parapet/core";
import * as tf from "@tensorflow/tfjs";
import * as ort from "onnxruntime-node";
import { convertLayersModel, type LayersModelArtifacts } from "../../src/convert/layers-model.ts";

export { tf };

/** What tfjs hands a save handler. */
export async function artifactsOf(model: tf.LayersModel): Promise<tf.io.ModelArtifacts> {
  let saved: tf.io.ModelArtifacts | undefined;
  await model.save(
    tf.io.withSaveHandler(async (artifacts) => {
      saved = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
    }),
  );
  return saved!;
}

/** Every weight anew from a seed, of both signs; variances positive. Untrained layers hide mistakes behind zeros. */
export function randomize(model: tf.LayersModel, seed: number): void {
  const rng = createRng(seed);
  tf.tidy(() => {
    model.setWeights(
      model.weights.map((weight) => {
        const shape = weight.shape as number[];
        const positive = weight.name.includes("variance");
        const scale = shape.length > 1 ? 1 / Math.sqrt(sizeOf(shape.slice(0, -1))) : 0.5;
        const values = Float32Array.from({ length: sizeOf(shape) }, () =>
          positive ? 0.5 + rng.next() : scale * rng.normal(),
        );
        return tf.tensor(values, shape);
      }),
    );
  });
}

/** A batch for each input: whole numbers below `words` where the type is int32. */
export function randomInputs(model: tf.LayersModel, n: number, rng: Rng, words = 0): tf.Tensor[] {
  return model.inputs.map(({ shape }) => {
    const lengths = [n, ...shape.slice(1).map((length) => length ?? 7)];
    const draw = () => (words > 0 ? rng.integer(words) : rng.normal());
    return tf.tensor(Array.from({ length: sizeOf(lengths) }, draw), lengths, words > 0 ? "int32" : "float32");
  });
}

/** Runs an ONNX file. */
export async function runOnnx(bytes: Uint8Array, inputs: readonly tf.Tensor[]): Promise<readonly ort.Tensor[]> {
  const session = await ort.InferenceSession.create(bytes);
  const feeds = Object.fromEntries(
    session.inputNames.map((name, i) => {
      const values = inputs[i]!.dataSync();
      const type = values instanceof Int32Array ? "int32" : "float32";
      return [name, new ort.Tensor(type, values as Float32Array, inputs[i]!.shape)];
    }),
  );
  const results = await session.run(feeds);
  const outputs = session.outputNames.map((name) => results[name]!);
  await session.release();
  return outputs;
}

/** The largest difference between tfjs and ONNX, relative to the largest value; over batches of 1 and 3. */
export async function disagreement(
  model: tf.LayersModel,
  artifacts: LayersModelArtifacts,
  bytes: Uint8Array = convertLayersModel(artifacts),
  { words = 0, seed = 1 }: { readonly words?: number; readonly seed?: number } = {},
): Promise<number> {
  let worst = 0;
  for (const n of [1, 3]) {
    const inputs = randomInputs(model, n, createRng(seed).derive(n), words);
    const predicted = model.predict(inputs.length === 1 ? inputs[0]! : inputs);
    const wanted = Array.isArray(predicted) ? predicted : [predicted];
    const got = await runOnnx(bytes, inputs);
    if (got.length !== wanted.length) throw new Error(`${got.length} outputs instead of ${wanted.length}`);
    wanted.forEach((tensor, i) => {
      const output = got[i]!;
      if (`${output.dims}` !== `${tensor.shape}`) throw new Error(`shape [${output.dims}], not [${tensor.shape}]`);
      worst = Math.max(worst, difference(tensor.dataSync(), output.data as Float32Array));
    });
    tf.dispose([inputs, wanted]);
  }
  return worst;
}

/** The largest difference, relative to the largest value. */
export function difference(wanted: ArrayLike<number>, got: ArrayLike<number>): number {
  let largest = 0;
  let worst = 0;
  for (let i = 0; i < wanted.length; i++) {
    largest = Math.max(largest, Math.abs(wanted[i]!));
    const apart = Math.abs(wanted[i]! - got[i]!);
    worst = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(worst, apart);
  }
  return worst === 0 ? 0 : worst / largest;
}
