import { crossEntropy, weightedSum } from "@parapet/core";
import { assertClose, classifierLaws } from "@parapet/testing";
import * as runtime from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { fromOnnx, type OnnxClassifier, sgd } from "../src/index.ts";
import { readModel } from "../src/proto/read.ts";
import { writeModel } from "../src/proto/write.ts";
import { cnn, inputs, mlp } from "./helpers/networks.ts";

// What PyTorch exports without being told that the batch is open: it is that of the example, 1.

const bounds = { lower: 0, upper: 1 };
const session = { intraOpNumThreads: 1 };

/** A file with a batch of `size`. */
function fixed(file: Uint8Array, size: number): Uint8Array {
  const model = readModel(file);
  const closed = model.graph.inputs.map((input) => ({ ...input, shape: [size, ...input.shape!.slice(1)] }));
  return writeModel({ ...model, graph: { ...model.graph, inputs: closed } });
}

describe("a batch of 1", () => {
  const x = inputs(5, [1, 8, 8]);
  const labels = [0, 1, 2, 0, 1];
  const make = () => fromOnnx(fixed(cnn(), 1), { runtime, bounds, session });
  const dispose = (model: object) => (model as OnnxClassifier).release();
  for (const law of classifierLaws(make, { dispose, inputs: x, labels })) it(law.name, () => law.run());

  it("answers as the open file does, several rows as well", async () => {
    const [one, open] = [await make(), await fromOnnx(cnn(), { runtime, bounds, session })];
    for (const loss of [crossEntropy(labels), weightedSum([[2, crossEntropy(labels)]])]) {
      const [a, b] = [await one.gradient(x, loss), await open.gradient(x, loss)];
      assertClose(a.logits, b.logits.data, { absolute: 1e-5 });
      assertClose(a.gradient, b.gradient.data, { absolute: 1e-5 });
    }
    await one.release();
    await open.release();
  });

  it("is not trained, and another fixed batch is refused", async () => {
    const trained = fromOnnx(fixed(mlp(), 1), { runtime, bounds, session, optimizer: sgd(0.1) });
    await expect(trained).rejects.toThrow(/"optimizer" expected none for a file whose batch is 1/);
    await expect(fromOnnx(fixed(mlp(), 4), { runtime, bounds, session })).rejects.toThrow(/open or 1/);
  });
});
