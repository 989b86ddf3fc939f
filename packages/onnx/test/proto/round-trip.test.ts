import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Attribute, Graph, Model, Tensor } from "../../src/graph.ts";
import { readModel } from "../../src/proto/read.ts";
import { ARRAYS } from "../../src/proto/types.ts";
import { writeModel } from "../../src/proto/write.ts";
import { DTYPES, models } from "./arbitrary.ts";

const EMPTY: Graph = { name: "g", inputs: [], outputs: [], initializers: new Map(), nodes: [] };

const modelOf = (graph: Partial<Graph>): Model => ({
  irVersion: 8,
  opsets: new Map([["", 17]]),
  producer: "test",
  graph: { ...EMPTY, ...graph },
});

const withAttribute = (attribute: Attribute): Model =>
  modelOf({ nodes: [{ name: "n", op: "Foo", domain: "", inputs: [], outputs: ["y"], attributes: { a: attribute } }] });

describe("a model that is written and read is the same", () => {
  test.each(DTYPES)("a constant of dtype %s", (dtype) => {
    const data =
      dtype === "string"
        ? ["", "naïve", "\ufeffb"]
        : new ARRAYS[dtype]((dtype.endsWith("int64") ? [0n, 1n, 1n] : [0, 1, 1]) as never);
    const tensor = { dtype, shape: [3, 1], data } as Tensor;
    const empty = { dtype, shape: [2, 0], data: data.slice(0, 0) } as Tensor;
    const model = modelOf({
      initializers: new Map([
        ["w", tensor],
        ["none", empty],
      ]),
    });
    expect(readModel(writeModel(model)).graph).toEqual(model.graph);
  });

  test.each<Attribute>([
    { kind: "int", value: -(2 ** 53) + 1 },
    { kind: "int", value: 0 },
    { kind: "float", value: Math.fround(0.1) },
    { kind: "float", value: Number.NaN },
    { kind: "float", value: -0 },
    { kind: "string", value: "SAME_UPPER" },
    { kind: "string", value: "" },
    { kind: "ints", value: [] },
    { kind: "ints", value: [-1, 0, 2 ** 40] },
    { kind: "floats", value: [0.5, Number.NEGATIVE_INFINITY] },
    { kind: "strings", value: ["", "a"] },
    { kind: "tensor", value: { dtype: "int64", shape: [], data: BigInt64Array.of(-(2n ** 63n)) } },
    { kind: "graph", value: EMPTY },
  ])("an attribute $kind $value", (attribute) => {
    expect(readModel(writeModel(withAttribute(attribute))).graph.nodes[0]!.attributes.a).toEqual(attribute);
  });

  test("whatever the model, and the bytes, too", () => {
    fc.assert(
      fc.property(models, (model) => {
        const bytes = writeModel(model);
        const { otherInputs, otherOutputs, values, ...read } = readModel(bytes);
        expect(read).toEqual(model);
        expect([...otherInputs, ...otherOutputs, ...values]).toEqual([]);
        expect(writeModel(read)).toEqual(bytes);
      }),
      { seed: 20240601, numRuns: 300 },
    );
  });

  test("where the file lies in a Node Buffer or in the middle of another array", () => {
    const bytes = writeModel(
      modelOf({ initializers: new Map([["w", { dtype: "float64", shape: [1], data: Float64Array.of(Math.PI) }]]) }),
    );
    const wide = new Uint8Array(bytes.length + 7);
    wide.set(bytes, 3);
    const expected = readModel(bytes);
    const read = readModel(wide.subarray(3, 3 + bytes.length));
    expect(read).toEqual(expected);
    expect(readModel(Buffer.from(bytes))).toEqual(expected);
    wide.fill(0);
    expect(read).toEqual(expected);
  });

  test("in files before version 4, which list constants as inputs", () => {
    const model = {
      ...modelOf({ initializers: new Map([["w", { dtype: "int8", shape: [], data: Int8Array.of(-5) }]]) }),
      irVersion: 3,
    };
    expect(readModel(writeModel(model)).graph).toEqual(model.graph);
  });
});

describe("the writer refuses", () => {
  test("data that do not fit the shape", () => {
    const model = modelOf({ initializers: new Map([["w", { dtype: "int8", shape: [2], data: Int8Array.of(1) }]]) });
    expect(() => writeModel(model)).toThrow(new RangeError('"w" expected 2 elements for shape [2], got 1'));
  });

  test.each([0.5, 2 ** 53, Number.NaN])("the integer attribute %s", (value) => {
    expect(() => writeModel(withAttribute({ kind: "int", value }))).toThrow(RangeError);
    expect(() => writeModel(withAttribute({ kind: "ints", value: [value] }))).toThrow('"n.a" expected a safe integer');
  });
});
