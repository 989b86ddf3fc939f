import type { TrainableClassifier } from "@parapet/core";

/** A model's weights as bytes: float32, little-endian, one array after the other in the model's order. */
export async function weightsOf(model: TrainableClassifier): Promise<Uint8Array> {
  const arrays = [...(await model.snapshot()).weights.values()];
  const bytes = new DataView(new ArrayBuffer(4 * arrays.reduce((sum, { data }) => sum + data.length, 0)));
  let at = 0;
  for (const { data } of arrays) for (const value of data) bytes.setFloat32(4 * at++, value, true);
  return new Uint8Array(bytes.buffer);
}
