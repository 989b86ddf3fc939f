import { describe, expect, test } from "vitest";
import { readModel } from "../../src/proto/read.ts";
import { writeModel } from "../../src/proto/write.ts";
import * as m from "./messages.ts";

const read = (...parts: readonly m.Part[]) => readModel(m.file(m.graph(...parts))).graph;
const refusal = (...parts: readonly m.Part[]) => {
  try {
    readModel(m.file(...parts));
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`;
  }
  return "none";
};
const tensor = (code: number, dims: readonly number[], ...more: readonly m.Part[]) =>
  read(m.constant("w", code, dims, ...more)).initializers.get("w");

describe("elements are read from every place that holds them", () => {
  test.each([
    ["float_data, one by one", 1, [m.float(4, 0.5), m.float(4, -1)], "float32", Float32Array.of(0.5, -1)],
    ["float_data, packed", 1, [m.bytes(4, 0, 0, 0, 63, 0, 0, 128, 191)], "float32", Float32Array.of(0.5, -1)],
    [
      "double_data",
      11,
      [m.bytes(10, 0, 0, 0, 0, 0, 0, 224, 63, 0, 0, 0, 0, 0, 0, 240, 191)],
      "float64",
      Float64Array.of(0.5, -1),
    ],
    [
      "int32_data, packed",
      6,
      [m.bytes(5, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1)],
      "int32",
      Int32Array.of(1, -1),
    ],
    ["int32_data", 6, [m.integer(5, 1, -1)], "int32", Int32Array.of(1, -1)],
    ["int32_data of int8", 3, [m.integer(5, 127, -128)], "int8", Int8Array.of(127, -128)],
    ["int32_data of uint8", 2, [m.integer(5, 0, 255)], "uint8", Uint8Array.of(0, 255)],
    ["int32_data of int16", 5, [m.integer(5, 32767, -32768)], "int16", Int16Array.of(32767, -32768)],
    ["int32_data of uint16", 4, [m.integer(5, 1, 65535)], "uint16", Uint16Array.of(1, 65535)],
    ["int32_data of bool", 9, [m.integer(5, 1, 0)], "bool", Uint8Array.of(1, 0)],
    ["int32_data of float16 bits", 10, [m.integer(5, 0x3c00, 0xbc00)], "float16", Uint16Array.of(0x3c00, 0xbc00)],
    [
      "int64_data",
      7,
      [m.integer(7, -(2n ** 63n), 2n ** 63n - 1n)],
      "int64",
      BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n),
    ],
    ["uint64_data", 13, [m.integer(11, 2n ** 64n - 1n, 0)], "uint64", BigUint64Array.of(2n ** 64n - 1n, 0n)],
    ["uint64_data of uint32", 12, [m.integer(11, 2 ** 32 - 1, 0)], "uint32", Uint32Array.of(2 ** 32 - 1, 0)],
    ["string_data", 8, [m.text(6, "a", "é")], "string", ["a", "é"]],
    ["raw_data", 5, [m.bytes(9, 1, 0, 255, 255)], "int16", Int16Array.of(1, -1)],
  ] as const)("%s", (_, code, parts, dtype, data) => {
    expect(tensor(code, [2], ...parts)).toEqual({ dtype, shape: [2], data });
  });
});

describe("elements are refused that", () => {
  test.each([
    [
      "are too few",
      1,
      [2],
      [m.float(4, 1)],
      "malformed",
      '"tensor w" expected 2 elements of float32, as its shape says, got 1',
    ],
    ["are too many", 1, [], [m.float(4, 1), m.float(4, 1)], "malformed", "1 elements of float32"],
    ["are none", 1, [2], [], "malformed", "2 elements of float32"],
    ["are raw and of another length", 1, [2], [m.bytes(9, 0, 0, 0)], "malformed", 'as its shape says, got "3 bytes"'],
    [
      "do not fit the dtype",
      3,
      [1],
      [m.integer(5, 128)],
      "malformed",
      '"tensor w" expected elements that int8 can hold, got 128',
    ],
    ["are booleans of 2", 9, [1], [m.integer(5, 2)], "malformed", "booleans of 0 or 1"],
    ["are raw booleans of 2", 9, [1], [m.bytes(9, 2)], "malformed", "booleans of 0 or 1"],
    [
      "lie in the field of another dtype",
      1,
      [1],
      [m.integer(7, 1)],
      "malformed",
      "float32 elements in field 4 or 9, got [7]",
    ],
    ["are there twice", 1, [1], [m.float(4, 1), m.bytes(9, 0, 0, 0, 0)], "malformed", "field 4 or 9, got [4]"],
    ["are raw strings", 8, [1], [m.bytes(9, 65)], "malformed", "strings in field 6"],
    ["are strings, too few", 8, [2], [m.text(6, "a")], "malformed", "2 strings"],
    ["are segmented", 1, [1], [m.inside(3, m.integer(1, 0))], "unsupported", "a segment"],
    [
      "are bfloat16",
      16,
      [1],
      [m.bytes(9, 0, 0)],
      "unsupported",
      'a dtype that is carried (float32, int64, ...), got "bfloat16"',
    ],
    ["are of an unknown dtype", 99, [1], [], "unsupported", "got 99"],
    ["are of a negative dtype", -1, [1], [], "unsupported", "got -1"],
  ] as const)("%s", (_, code, dims, parts, problem, message) => {
    const got = refusal(m.graph(m.constant("w", code, dims, ...parts)));
    expect(got).toMatch(new RegExp(`^onnx/${problem}: `));
    expect(got).toContain(message);
  });

  test.each([
    [[-1], "malformed", 'lengths of axes >= 0, got "-1"'],
    [[2 ** 31 + 1], "too-large", "axes of at most 2147483648 elements"],
    [[2n ** 62n], "too-large", "axes of at most 2147483648 elements"],
    [[2 ** 20, 2 ** 20], "too-large", "at most 2147483648 elements, got [1048576, 1048576]"],
    [[2 ** 31, 2 ** 31, 2 ** 31], "too-large", "at most 2147483648 elements"],
    [[2 ** 31], "malformed", "2147483648 elements of float64"],
  ])("have the shape %s", (dims, problem, message) => {
    const got = refusal(m.graph(m.constant("w", 11, dims, m.bytes(9, 0, 0, 0, 0, 0, 0, 0, 0))));
    expect(got).toMatch(new RegExp(`^onnx/${problem}: "tensor w"`));
    expect(got).toContain(message);
    expect(refusal(m.graph(m.constant("w", 11, dims)))).toMatch(new RegExp(`^onnx/${problem}: "tensor w"`));
  });

  test.each(["weights.bin", "../../etc/passwd", "/etc/passwd", "file:///etc/passwd"])("lie in %s", (path) => {
    const entry = m.inside(13, m.text(1, "location"), m.text(2, path));
    const message = `onnx/unsupported: "tensor w" expected its elements in the file itself, got "a reference to the file ${path}"`;
    expect(refusal(m.graph(m.constant("w", 1, [1], entry, m.integer(14, 1))))).toBe(message);
    expect(refusal(m.graph(m.constant("w", 1, [1], entry, m.float(4, 1))))).toBe(message);
    expect(refusal(m.graph(m.constant("w", 1, [1], m.integer(14, 1))))).toContain("a reference to the file");
  });

  test("are sparse", () => {
    expect(refusal(m.graph(m.inside(15)))).toContain("onnx/unsupported");
  });
});

test("an empty tensor may have long axes beside the one of length 0", () => {
  expect(tensor(1, [2 ** 31, 2 ** 31, 0])).toEqual({
    dtype: "float32",
    shape: [2 ** 31, 2 ** 31, 0],
    data: new Float32Array(0),
  });
});

describe("inputs and outputs", () => {
  const sequence = [m.inside(4, m.inside(1, m.inside(1, m.integer(1, 1))))];

  test("have lengths that are numbers, names or open", () => {
    const dims = [m.integer(1, 3), m.text(2, "batch"), m.text(2, ""), m.integer(1, -1)].map((dim) => m.inside(1, dim));
    const type = m.inside(2, m.inside(1, m.integer(1, 7), m.inside(2, ...dims, m.inside(1))));
    expect(read(m.inside(11, m.text(1, "x"), type)).inputs).toEqual([
      { name: "x", dtype: "int64", shape: [3, "batch", undefined, undefined, undefined] },
    ]);
    expect(read(m.input("x")).inputs).toEqual([{ name: "x", dtype: "float32", shape: undefined }]);
  });

  test("that are no tensors are set apart, and written again", () => {
    const bytes = m.file(
      m.graph(
        m.inside(11, m.text(1, "s"), m.inside(2, ...sequence)),
        m.node("SequenceAt", ["s"], ["y"]),
        m.output("y"),
        m.inside(12, m.text(1, "s"), m.inside(2, ...sequence)),
      ),
    );
    const model = readModel(bytes);
    expect(model.graph.inputs).toEqual([]);
    expect(model.graph.outputs.map(({ name }) => name)).toEqual(["y"]);
    expect(model.otherInputs).toEqual([
      { name: "s", dtype: "float32", shape: undefined, type: m.message(...sequence).finish() },
    ]);
    expect(model.otherOutputs).toEqual(model.otherInputs);
    expect(readModel(writeModel(model))).toEqual(model);
  });

  test("of the file need a type, those of graphs inside do not", () => {
    expect(refusal(m.graph(m.inside(11, m.text(1, "x"))))).toContain('"input or output x" expected a type');
    const body = m.inside(6, m.inside(11, m.text(1, "i")), m.node("Not", ["i"], ["o"]), m.inside(12, m.text(1, "o")));
    const model = readModel(
      m.file(m.graph(m.input("x"), m.node("Loop", ["x"], ["y"], m.inside(5, m.text(1, "body"), body)))),
    );
    expect(model.graph.nodes[0]!.attributes.body).toMatchObject({
      kind: "graph",
      value: { outputs: [{ name: "o", type: new Uint8Array(0) }] },
    });
    expect(readModel(writeModel(model))).toEqual(model);
  });

  test("in between are kept with their types, of whatever dtype", () => {
    const brain = m.inside(2, m.inside(1, m.integer(1, 16)));
    const bytes = m.file(
      m.graph(
        m.inside(13, m.text(1, "a"), m.inside(2, m.inside(1, m.integer(1, 7)))),
        m.inside(13, m.text(1, "b"), brain),
      ),
    );
    const model = readModel(bytes);
    expect(model.values.map(({ name, dtype, type }) => type ?? [name, dtype])).toEqual([
      ["a", "int64"],
      expect.any(Uint8Array),
    ]);
    expect(readModel(writeModel(model, { values: model.values }))).toEqual(model);
    expect(readModel(writeModel(model)).values).toEqual([]);
  });

  test("of dtypes that are not carried are refused", () => {
    expect(refusal(m.graph(m.inside(11, m.text(1, "x"), m.inside(2, m.inside(1, m.integer(1, 16))))))).toBe(
      'onnx/unsupported: "input x" expected a dtype that is carried (float32, int64, ...), got "bfloat16"',
    );
  });

  test("that are constants, too, are constants", () => {
    const { inputs, initializers } = read(m.input("x"), m.input("w"), m.constant("w", 1, [], m.float(4, 1)));
    expect(inputs.map(({ name }) => name)).toEqual(["x"]);
    expect([...initializers.keys()]).toEqual(["w"]);
  });
});
