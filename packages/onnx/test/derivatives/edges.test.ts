import { describe, expect, test } from "vitest";
import { derivatives, undifferentiated } from "../../src/derivatives/index.ts";
import { given } from "./differences.ts";
import { type Case, type CaseInput, gradients, probe } from "./harness.ts";

const float = (values: readonly number[], shape = [values.length], constant = false): CaseInput => ({
  dtype: "float32",
  shape,
  values,
  differentiable: true,
  constant,
});

type Short = Partial<Case> & Pick<Case, "op" | "inputs">;

/** The gradients of an operator for cotangents of 1. */
async function slopes(short: Short, outputs = 1): Promise<(number[] | undefined)[]> {
  const one = { name: "edge", opset: 18, attributes: {}, ...short };
  const p = await probe({
    ...one,
    outputs: Array.from({ length: outputs }, () => ({ dtype: "float32", shape: [], values: [] })),
  });
  const dys = p.node.outputs.map((name, j) => (j === 0 ? new Array(p.values.get(name)!.data.length).fill(1) : null));
  const found = await gradients(p, derivatives, dys);
  return found.map((g) => g && Array.from(g.data as Float32Array));
}

// The slopes that PyTorch takes (autograd's derivatives.yaml, version 2.2).
describe("slopes at kinks", () => {
  const kinks: [string, Short, number[]][] = [
    ["relu'(0) = 0", { op: "Relu", inputs: [float([-1, -0, 0, 1])] }, [0, 0, 0, 1]],
    ["abs'(0) = 0", { op: "Abs", inputs: [float([-1, 0, 2])] }, [-1, 0, 1]],
    [
      "leaky relu: the lower one",
      { op: "LeakyRelu", attributes: { alpha: 0.25 }, inputs: [float([-1, 0, 1])] },
      [0.25, 0.25, 1],
    ],
    [
      "clip: 1 at its bounds",
      { op: "Clip", inputs: [float([-1, 0, 3, 6, 7]), given("float32", [], [0]), given("float32", [], [6])] },
      [0, 1, 1, 1, 0],
    ],
    [
      "hard sigmoid: 0 at its bounds",
      { op: "HardSigmoid", attributes: { alpha: 0.25, beta: 0.5 }, inputs: [float([-2, -1, 0, 1, 2])] },
      [0, 0.25, 0.25, 0.25, 0],
    ],
    [
      "thresholded relu: 0 at the threshold",
      { op: "ThresholdedRelu", attributes: { alpha: 0.5 }, inputs: [float([0, 0.5, 1])] },
      [0, 0, 1],
    ],
    [
      "max: a tie is shared",
      { op: "Max", inputs: [float([0, 1, 2]), { ...float([1, 1, 1]), differentiable: false }] },
      [0, 0.5, 1],
    ],
    [
      "min: a tie is shared",
      { op: "Min", inputs: [float([0, 1, 2]), { ...float([1, 1, 1]), differentiable: false }] },
      [1, 0.5, 0],
    ],
    ["the largest of all: shared evenly", { op: "ReduceMax", inputs: [float([3, 1, 3, 2])] }, [0.5, 0, 0.5, 0]],
    ["the norm of zeros", { op: "ReduceL2", inputs: [float([0, 0])] }, [0, 0]],
    ["a product with one zero", { op: "ReduceProd", inputs: [float([2, 0, 3])] }, [0, 6, 0]],
    ["a product with two zeros", { op: "ReduceProd", inputs: [float([2, 0, 0])] }, [0, 0, 0]],
    ["0^p", { op: "Pow", inputs: [float([0, 0, 0]), given("float32", [3], [0, 1, 2])] }, [0, 1, 0]],
    ["0^p, p an input", { op: "Pow", inputs: [float([0, 0, 2]), given("float32", [3], [0, 2, 3], false)] }, [0, 0, 12]],
  ];
  test.each(kinks)("%s", async (_, short, expected) => {
    const [found] = await slopes(short);
    expect(found!.map((v) => v + 0)).toEqual(expected);
  });

  test("the slope of 0^p in p is 0", async () => {
    const [, found] = await slopes({ op: "Pow", inputs: [float([0, 1]), float([2, 2])] });
    expect(found).toEqual([0, 0]);
  });
});

describe("what a run decides", () => {
  const values = Array.from({ length: 64 }, (_, i) => i / 8 - 4);
  const ratio = given("float32", [], [0.25]);
  const mode = (on: number, constant: boolean): CaseInput => given("bool", [], [on], constant);

  test.each([
    ["fixed", true],
    ["an input", false],
  ])("dropout while training, its mode %s: the mask, scaled", async (_, constant) => {
    const one = {
      name: "dropout",
      op: "Dropout",
      opset: 18,
      attributes: {},
      inputs: [float(values), ratio, mode(1, constant)],
    };
    const p = await probe({
      ...one,
      outputs: ["float32", "bool"].map((dtype) => ({ dtype, shape: [], values: [] }) as never),
    });
    const [g] = await gradients(p, derivatives, [values.map(() => 1), null]);
    const mask = Array.from(p.values.get("y1")!.data as Uint8Array);
    expect(mask).toContain(0);
    expect(Array.from(g!.data as Float32Array)).toEqual(mask.map((m) => Math.fround(m * Math.fround(1 / 0.75))));
  });

  test("dropout told at run time that it does not train", async () => {
    const [g] = await slopes({ op: "Dropout", inputs: [float(values), ratio, mode(0, false)] }, 2);
    expect(g).toEqual(values.map(() => 1));
  });

  test("dropout while training without its mask is refused", async () => {
    await expect(slopes({ op: "Dropout", inputs: [float(values), ratio, mode(1, true)] })).rejects.toMatchObject({
      code: "onnx/no-derivative",
      message: expect.stringContaining('Dropout "edge"'),
    });
  });

  test("a table's rows that many look up add up, whatever the threads", async () => {
    const size = 20_000;
    const indices = given(
      "int64",
      [size],
      Array.from({ length: size }, (_, i) => (i * 7) % 3),
      false,
    );
    const table = float(new Array(3 * 16).fill(0), [3, 16]);
    const [g] = await slopes({ op: "Gather", inputs: [table, indices] });
    const counts = [0, 1, 2].map((row) => indices.values.filter((i) => i === row).length);
    expect(g).toEqual(counts.flatMap((count) => new Array(16).fill(count)));
  });
});

test("no operator both has a derivative and passes nothing on", () => {
  expect(Object.keys(derivatives).filter((op) => undifferentiated.has(op))).toEqual([]);
});
