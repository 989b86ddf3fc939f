import { describe, expect, test } from "vitest";
import { readModel } from "../../src/proto/read.ts";
import * as m from "./messages.ts";

const refusal = (bytes: Uint8Array, limits = {}) => {
  try {
    readModel(bytes, { limits });
  } catch (error) {
    return `${(error as { code?: string }).code}: ${(error as Error).message}`;
  }
  return "none";
};
const attribute = (...parts: readonly m.Part[]) => m.inside(5, m.text(1, "a"), ...parts);
const withAttribute = (...parts: readonly m.Part[]) => m.file(m.graph(m.node("Foo", [], ["y"], attribute(...parts))));

describe("attributes", () => {
  test.each([
    ["float", [m.float(2, 0.5)], 0.5],
    ["int", [m.integer(3, -1)], -1],
    ["string", [m.text(4, "s")], "s"],
    ["floats", [m.float(7, 1), m.float(7, 2)], [1, 2]],
    ["ints", [m.integer(8, 1, -2)], [1, -2]],
    ["ints", [m.bytes(8, 1, 2)], [1, 2]],
    ["strings", [m.text(9, "s")], ["s"]],
  ] as const)("without a type, as old files have them: %s", (kind, parts, value) => {
    expect(readModel(withAttribute(...parts)).graph.nodes[0]!.attributes.a).toEqual({ kind, value });
  });

  test.each([
    ["two values", [m.float(2, 1), m.integer(3, 1)], 'malformed: "node the Foo (Foo), attribute a" expected one value'],
    ["no value and no type", [], "malformed"],
    ["a value of another kind than its type", [m.float(2, 1), m.integer(20, 2)], 'a value of kind int, got ["float"]'],
    ["a tensor that is missing", [m.integer(20, 4)], "expected a tensor, got"],
    ["a graph that is missing", [m.integer(20, 5)], "expected a graph, got"],
    ["an unknown type", [m.integer(20, 77)], "malformed"],
    ["a sparse tensor", [m.inside(22), m.integer(20, 11)], 'unsupported: "node the Foo (Foo), attribute a"'],
    ["a list of graphs", [m.inside(11), m.integer(20, 10)], "unsupported"],
    [
      "an integer beyond 2^53",
      [m.integer(3, 2n ** 53n), m.integer(20, 2)],
      'unsupported: "node the Foo (Foo), attribute a" expected integers up to 2^53, got "9007199254740992"',
    ],
    ["integers beyond 2^53", [m.integer(8, 1, -(2n ** 63n)), m.integer(20, 7)], 'got "-9223372036854775808"'],
    ["text that is not UTF-8", [m.bytes(4, 0xff), m.integer(20, 3)], "expected UTF-8"],
    ["a reference to another", [m.text(21, "b")], "unsupported"],
  ] as const)("are refused with %s", (_, parts, message) => {
    expect(refusal(withAttribute(...parts))).toContain(message);
  });

  test("are refused without a name, and twice", () => {
    const a = m.inside(5, m.text(1, "a"), m.integer(3, 1));
    expect(refusal(m.file(m.graph(m.node("Foo", [], [], a, a))))).toContain(
      '"node the Foo (Foo)" expected one attribute a',
    );
    expect(refusal(m.file(m.graph(m.node("Foo", [], [], m.inside(5, m.integer(3, 1))))))).toContain("with a name");
  });

  test("of a constant beyond 2^53 are a tensor: how PyTorch writes the end of a slice", () => {
    const end = 2n ** 63n - 1n;
    const ints = m.inside(5, m.text(1, "value_ints"), m.integer(8, 1, end), m.integer(20, 7));
    const one = m.inside(5, m.text(1, "value_int"), m.integer(3, end), m.integer(20, 2));
    const { nodes } = readModel(
      m.file(m.graph(m.node("Constant", [], ["a"], ints), m.node("Constant", [], ["b"], one))),
    ).graph;
    expect(nodes.map(({ attributes }) => attributes.value)).toEqual([
      { kind: "tensor", value: { dtype: "int64", shape: [2], data: BigInt64Array.of(1n, end) } },
      { kind: "tensor", value: { dtype: "int64", shape: [], data: BigInt64Array.of(end) } },
    ]);
  });
});

describe("a graph is refused", () => {
  const body = (...parts: readonly m.Part[]) => m.inside(5, m.text(1, "body"), m.inside(6, ...parts));
  test.each([
    [
      "whose nodes stand out of order",
      [m.node("A", ["b"], ["a"]), m.node("B", [], ["b"])],
      '"node the A (A)" expected a value b from a node before it, got "node the B (B) at or after it: out of order, or a cycle"',
    ],
    ["with a cycle", [m.node("A", ["b"], ["a"]), m.node("B", ["a"], ["b"])], "or a cycle"],
    ["with a node that feeds itself", [m.node("A", ["a"], ["a"])], "or a cycle"],
    ["with a value from nowhere", [m.node("A", ["b"], ["a"])], "none that gives it"],
    [
      "with two values of one name",
      [m.node("A", [], ["a"]), m.node("B", [], ["a"])],
      '"output of node the B (B)" expected a name of its own',
    ],
    ["with an output that is an input", [m.input("a"), m.node("A", [], ["a"])], "a name of its own"],
    ["with two inputs of one name", [m.input("a"), m.input("a")], "a name of its own"],
    [
      "with two constants of one name",
      [m.constant("w", 1, [0]), m.constant("w", 1, [0])],
      '"initializer w" expected to be there once',
    ],
    ["with a constant without a name", [m.constant("", 1, [0])], '"initializer 0" expected a name'],
    ["with an input without a name", [m.input("")], "expected a name"],
    ["with an output that nothing gives", [m.output("y")], '"output y of the graph" expected a node that gives it'],
    ["with an output twice", [m.input("y"), m.output("y"), m.output("y")], "to be there once"],
    ["with a node without an operator", [m.node("", [], ["a"])], "expected an operator"],
    [
      "with a graph inside that hides a value",
      [m.input("x"), m.node("Loop", [], ["y"], body(m.node("A", [], ["x"])))],
      "a name of its own",
    ],
    [
      "with a graph inside that looks ahead",
      [m.node("Loop", [], ["y"], body(m.node("A", ["z"], ["x"]))), m.node("B", [], ["z"])],
      "a value z from a node before it",
    ],
    ["with its type twice", [m.inside(11, m.text(1, "x"), m.inside(2), m.inside(2))], "to be there once"],
    [
      "with an axis beyond 2^31",
      [
        m.inside(
          11,
          m.text(1, "x"),
          m.inside(2, m.inside(1, m.integer(1, 1), m.inside(2, m.inside(1, m.integer(1, 2n ** 60n))))),
        ),
      ],
      "too-large",
    ],
  ] as const)("%s", (_, parts, message) => {
    expect(refusal(m.file(m.graph(...parts)))).toContain(message);
  });

  test("inside too many others", () => {
    let parts: m.Part[] = [];
    for (let i = 0; i < 64; i++) parts = [m.node("If", [], [], body(...parts))];
    expect(refusal(m.file(m.graph(...parts)))).toBe("none");
    expect(refusal(m.file(m.graph(m.node("If", [], [], body(...parts)))))).toContain("onnx/too-large");
    for (let i = 0; i < 200; i++) parts = [m.node("If", [], [], body(...parts))];
    expect(refusal(m.file(m.graph(...parts)))).toContain("onnx/too-large");
  });

  test("beyond a limit that was asked for", () => {
    const bytes = m.file(m.graph(m.constant("w", 1, [2], m.bytes(9, ...new Uint8Array(8))), m.node("A", [], [])));
    expect(refusal(bytes, { objects: 2 })).toBe("none");
    expect(refusal(bytes, { objects: 1 })).toContain("onnx/too-large");
    expect(refusal(bytes, { elements: 1 })).toContain("onnx/too-large");
    expect(refusal(bytes, { bytes: 10 })).toBe(`onnx/too-large: "file" expected at most 10 bytes, got ${bytes.length}`);
  });
});

test("a graph inside sees the values around it, and two branches may use the same names", () => {
  const branch = (name: string) =>
    m.inside(5, m.text(1, name), m.inside(6, m.node("A", ["x"], ["z"]), m.output("z")), m.integer(20, 5));
  const bytes = m.file(
    m.graph(m.input("x"), m.node("If", ["x"], ["y"], branch("then_branch"), branch("else_branch")), m.output("y")),
  );
  expect(Object.keys(readModel(bytes).graph.nodes[0]!.attributes)).toEqual(["then_branch", "else_branch"]);
});

describe("a file", () => {
  const header = m.integer(1, 8);
  const opset = (version: number | bigint, domain = "") => m.inside(8, m.text(1, domain), m.integer(2, version));

  test.each([
    ["that is empty", [], "an irVersion >= 1"],
    ["without a version", [opset(17), m.graph()], "an irVersion >= 1"],
    ["of a negative version", [m.integer(1, -1), opset(17), m.graph()], "an irVersion >= 1"],
    ["without a graph", [header, opset(17)], '"file" expected a graph'],
    ["with two graphs", [header, opset(17), m.graph(), m.graph()], "to be there once"],
    ["without operator sets", [header, m.graph()], "versions of its operator sets"],
    ["with two versions of one", [header, opset(17), opset(18, "ai.onnx"), m.graph()], "one version, got [17, 18]"],
    ["of opset 0", [header, opset(0), m.graph()], "a version >= 1"],
    ["of opset 2^60", [header, opset(2n ** 60n), m.graph()], "a version >= 1"],
  ] as const)("%s is refused", (_, parts, message) => {
    expect(refusal(m.message(...parts).finish())).toContain(message);
  });

  test("may name ONNX's own operators ai.onnx, and say the same version twice, as skl2onnx does", () => {
    const node = m.node("Relu", [], [], m.text(7, "ai.onnx"));
    const model = readModel(m.message(header, opset(17), opset(17, "ai.onnx"), m.graph(node)).finish());
    expect([...model.opsets]).toEqual([["", 17]]);
    expect(model.graph.nodes[0]!.domain).toBe("");
  });

  test("may hold functions that nothing calls, training information and what nobody knows yet", () => {
    const unused = m.inside(25, m.text(1, "Rank"), m.text(10, "pkg"));
    const others = [m.inside(20, m.bytes(1, 255)), m.integer(1000, 1), m.text(1001, "x"), m.float(1002, 1)];
    expect(refusal(m.file(unused, ...others, m.graph(m.node("Rank", [], []))))).toBe("none");
    expect(refusal(m.file(unused, m.graph(m.node("Rank", [], [], m.text(7, "pkg")))))).toBe(
      'onnx/unsupported: "node the Rank (Rank)" expected an operator, got "a call of a function in the file (inline it first)"',
    );
  });

  test("is bytes, or the caller is wrong", () => {
    expect(() => readModel("model.onnx" as never)).toThrow(
      new TypeError('"bytes" expected a Uint8Array, got "model.onnx"'),
    );
    expect(() => readModel(new DataView(new ArrayBuffer(3)) as never)).toThrow(TypeError);
  });

  test("quotes long names in part", () => {
    expect(refusal(m.file(m.graph(m.output("y".repeat(1e6))))).length).toBeLessThan(300);
  });
});
