import { crossEntropy } from "@parapet/core";
import * as node from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { fromOnnx, type OnnxRuntime, sgd } from "../src/index.ts";
import { cnn, inputs } from "./helpers/networks.ts";

const bounds = { lower: 0, upper: 1 };
const x = inputs(3, [1, 8, 8]);
const loss = crossEntropy([0, 1, 2]);

/** onnxruntime-node with a provider of its own, whose answers are multiplied by `factor`. Notes what is created. */
function strange(factor: number, created: string[] = []): OnnxRuntime {
  return {
    Tensor: node.Tensor,
    InferenceSession: {
      async create(bytes, options: { executionProviders?: readonly string[] } = {}) {
        const { executionProviders = ["cpu"], ...rest } = options;
        const session = await node.InferenceSession.create(bytes, rest);
        created.push(executionProviders[0]!);
        const scale = executionProviders[0] === "strange" ? factor : 1;
        return {
          outputMetadata: session.outputMetadata,
          release: () => session.release(),
          async run(feeds: Record<string, node.Tensor>) {
            const results = await session.run(feeds);
            return Object.fromEntries(
              Object.entries(results).map(([name, { data, dims }]) => [
                name,
                new node.Tensor(
                  "float32",
                  (data as Float32Array).map((v) => v * scale),
                  dims,
                ),
              ]),
            );
          },
        };
      },
    },
  };
}

describe("another provider than the CPU", () => {
  const session = { executionProviders: ["strange"] };

  it.each([0.5, 1.2, Number.NaN])("is refused when its answers are %s of the CPU's", async (factor) => {
    const model = await fromOnnx(cnn(), { runtime: strange(factor), session, bounds, optimizer: sgd(0.1) });
    const refusal = { code: "onnx/runtime" };
    await expect(model.logits(x)).rejects.toMatchObject(refusal);
    await expect(model.gradient(x, loss)).rejects.toMatchObject(refusal);
    await expect(model.parameterGradients(x, loss)).rejects.toMatchObject(refusal);
    // Nor is it trusted the second time.
    await expect(model.gradient(x, loss)).rejects.toThrow('"executionProviders" expected');
    await model.release();
  });

  it("may round, and is held against the CPU once a graph", async () => {
    const created: string[] = [];
    const model = await fromOnnx(cnn(), { runtime: strange(1.001, created), session, bounds });
    created.length = 0;
    for (let i = 0; i < 3; i++) await model.gradient(x, loss);
    expect(created).toEqual(["strange", "cpu"]);
    await model.release();
  });

  it("is the CPU where nothing is said", async () => {
    const created: string[] = [];
    const model = await fromOnnx(cnn(), { runtime: strange(1, created), bounds });
    await model.logits(x);
    created.length = 0;
    await model.gradient(x, loss);
    expect(created).toEqual(["cpu"]);
    await model.release();
  });
});
