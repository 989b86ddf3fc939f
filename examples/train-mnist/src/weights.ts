import { readFileSync } from "node:fs";
import { ndArray, sizeOf, type TrainableClassifier } from "@parapet/core";

/** A model's weights as bytes: float32, little-endian, one array after the other in the model's order. */
export async function weightsOf(model: TrainableClassifier): Promise<Uint8Array> {
  const arrays = [...(await model.snapshot()).weights.values()];
  const bytes = new DataView(new ArrayBuffer(4 * arrays.reduce((sum, { data }) => sum + data.length, 0)));
  let at = 0;
  for (const { data } of arrays) for (const value of data) bytes.setFloat32(4 * at++, value, true);
  return new Uint8Array(bytes.buffer);
}

/** Puts such weights into a model of the same architecture. */
export async function loadWeights(model: TrainableClassifier, path: string | URL): Promise<void> {
  const { weights } = await model.snapshot();
  const file = readFileSync(path);
  const wanted = 4 * [...weights.values()].reduce((sum, { data }) => sum + data.length, 0);
  if (file.length !== wanted) throw new RangeError(`"${path}" expected ${wanted} bytes, got ${file.length}`);
  const view = new DataView(file.buffer, file.byteOffset);
  let at = 0;
  const arrays = [...weights].map(([name, { shape }]) => {
    const data = Float32Array.from({ length: sizeOf(shape) }, () => view.getFloat32(4 * at++, true));
    return [name, ndArray(data, shape)] as const;
  });
  await model.restore({ weights: new Map(arrays), buffers: new Map() });
}
