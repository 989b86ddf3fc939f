import { crossEntropy } from "@parapet/core";
import { assertClose } from "@parapet/testing";
import { beforeAll, describe, expect, it } from "vitest";
import { adamw, fromOnnx, toOnnx } from "../src/index.ts";
import { checkNetwork } from "./helpers/exported.ts";
import { testLaws } from "./helpers/laws.ts";
import { cnn, inputs, normalised } from "./helpers/networks.ts";
import { type Place, start } from "./helpers/runtimes.ts";

// One page, because shaders are compiled once in a page, and slowly in software.
testLaws("webgpu");

describe("webgpu", () => {
  let place: Place;
  beforeAll(async () => {
    place = await start("webgpu");
  });

  it.each(["mnist-cnn", "resnet-eval-opset15", "vit-opset17", "less-common-opset17"])("%s", (name) =>
    checkNetwork(name, place),
  );

  it("what the GPU computes wrongly is refused", async () => {
    // onnxruntime 1.30 has convolutions of 6 channels wrong, where the filters are a multiple of 4.
    await expect(checkNetwork("madry-cnn-opset13", place)).rejects.toMatchObject({ code: "onnx/runtime" });
  });

  it("dropout at inference needs no operator, which is not there", async () => {
    const [x, loss] = [inputs(3, [1, 8, 8]), crossEntropy([0, 1, 2])];
    const found = [];
    for (const dropout of [0, 0.5]) {
      const model = await fromOnnx(normalised({ dropout }), { ...place, bounds: { lower: 0, upper: 1 } });
      found.push((await model.gradient(x, loss)).gradient);
      await model.release();
    }
    assertClose(found[1]!, found[0]!, { absolute: 1e-6 });
  });

  it("outputs that stay on the device are as good as those that do not", async () => {
    const x = inputs(3, [1, 8, 8]);
    const found = [];
    for (const preferredOutputLocation of ["cpu", "gpu-buffer"]) {
      const session = { ...place.session, preferredOutputLocation };
      const options = { ...place, session, bounds: { lower: 0, upper: 1 } };
      const model = await fromOnnx(cnn(), { ...options, optimizer: adamw(0.02) });
      const { gradient } = await model.gradient(x, crossEntropy([0, 1, 2]));
      for (let i = 0; i < 2; i++) await model.step(x, crossEntropy([0, 1, 2]));
      const { weights } = await model.snapshot();
      const written = await fromOnnx(toOnnx(model), options);
      found.push([gradient, await written.logits(x), ...weights.values()]);
      await model.release();
      await written.release();
    }
    const [expected, actual] = found;
    expect(actual!.length).toBe(8);
    actual!.forEach((array, i) => {
      assertClose(array, expected![i]!, { absolute: 1e-6 });
    });
  });
});
