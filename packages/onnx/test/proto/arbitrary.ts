import fc from "fast-check";
import type { Attribute, DeclaredDim, ElementType, Graph, Model, Node, Tensor, ValueInfo } from "../../src/graph.ts";
import { ARRAYS } from "../../src/proto/types.ts";

export const DTYPES = [...Object.keys(ARRAYS), "string"] as ElementType[];

/** A tensor of any dtype, its elements any bits. */
const tensors: fc.Arbitrary<Tensor> = fc
  .record({
    dtype: fc.constantFrom(...DTYPES),
    shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    seed: fc.infiniteStream(fc.nat(255)),
    texts: fc.infiniteStream(fc.string({ unit: "grapheme", maxLength: 5 })),
  })
  .map(({ dtype, shape, seed, texts }) => {
    const count = shape.reduce((product, length) => product * length, 1);
    if (dtype === "string") {
      return { dtype, shape, data: Array.from({ length: count }, () => texts.next().value as string) };
    }
    const bytes = Uint8Array.from(
      { length: count * ARRAYS[dtype].BYTES_PER_ELEMENT },
      () => seed.next().value as number,
    );
    const data = new ARRAYS[dtype](bytes.buffer);
    return {
      dtype,
      shape,
      data: data instanceof Uint8Array && dtype === "bool" ? data.map((value) => value & 1) : data,
    } as Tensor;
  });

const texts = fc.string({ unit: "grapheme", maxLength: 8 });
const integers = fc.maxSafeInteger();
const floats = fc.float();

/** An attribute; a subgraph is a plan, built when the values around it are known. */
const attributes = (depth: number): fc.Arbitrary<Attribute | Plan> =>
  fc.oneof(
    integers.map((value): Attribute => ({ kind: "int", value })),
    floats.map((value): Attribute => ({ kind: "float", value })),
    texts.map((value): Attribute => ({ kind: "string", value })),
    tensors.map((value): Attribute => ({ kind: "tensor", value })),
    fc.array(integers, { maxLength: 4 }).map((value): Attribute => ({ kind: "ints", value })),
    fc.array(floats, { maxLength: 4 }).map((value): Attribute => ({ kind: "floats", value })),
    fc.array(texts, { maxLength: 4 }).map((value): Attribute => ({ kind: "strings", value })),
    ...(depth > 0 ? [plans(depth - 1)] : []),
  );

interface Plan {
  readonly kind: "plan";
  readonly name: string;
  readonly constants: readonly Tensor[];
  readonly inputs: readonly Omit<ValueInfo, "name">[];
  readonly nodes: readonly {
    readonly op: string;
    readonly named: boolean;
    readonly domain: string;
    readonly picks: readonly number[];
    readonly outputs: number;
    readonly attributes: readonly (readonly [string, Attribute | Plan])[];
  }[];
}

const infos: fc.Arbitrary<Omit<ValueInfo, "name">> = fc.record({
  dtype: fc.constantFrom(...DTYPES),
  shape: fc.option(
    fc.array<DeclaredDim>(
      fc.oneof(fc.nat(1000), fc.constantFrom("batch", "n"), fc.constant(undefined)) as fc.Arbitrary<DeclaredDim>,
      { maxLength: 3 },
    ),
    { nil: undefined },
  ),
});

function plans(depth: number): fc.Arbitrary<Plan> {
  return fc.record({
    kind: fc.constant("plan" as const),
    name: texts,
    constants: fc.array(tensors, { maxLength: 3 }),
    inputs: fc.array(infos, { maxLength: 3 }),
    nodes: fc.array(
      fc.record({
        op: fc.constantFrom("Add", "If", "Constant", "Foo"),
        named: fc.boolean(),
        domain: fc.constantFrom("", "ai.onnx.ml", "com.example"),
        picks: fc.array(fc.nat(), { maxLength: 3 }),
        outputs: fc.nat(3),
        attributes: fc.uniqueArray(
          fc.tuple(fc.constantFrom("a", "then_branch", "value", "__proto__", "é"), attributes(depth)),
          { maxLength: 3, selector: ([name]) => name },
        ),
      }),
      { maxLength: 4 },
    ),
  });
}

/** Makes the graph: every node uses what stands before it, here or around. */
function build(plan: Plan, outer: readonly string[], fresh: () => string): Graph {
  const own: string[] = [];
  const define = () => {
    const name = fresh();
    own.push(name);
    return name;
  };
  const initializers = new Map(plan.constants.map((tensor) => [define(), tensor]));
  const inputs = plan.inputs.map((info) => ({ name: define(), ...info }));
  const nodes = plan.nodes.map((spec): Node => {
    const seen = ["", ...outer, ...own];
    return {
      name: spec.named ? fresh() : "",
      op: spec.op,
      domain: spec.domain,
      inputs: spec.picks.map((pick) => seen[pick % seen.length]!),
      attributes: Object.fromEntries(
        spec.attributes.map(([name, value]) => [
          name,
          value.kind === "plan" ? { kind: "graph", value: build(value, [...outer, ...own], fresh) } : value,
        ]),
      ),
      outputs: Array.from({ length: spec.outputs }, define),
    };
  });
  const outputs = own.slice(-2).map((name): ValueInfo => ({ name, dtype: "float32", shape: ["batch", 3, undefined] }));
  return { name: plan.name, inputs, outputs, initializers, nodes };
}

/** A model that means nothing and breaks no rule of the format. */
export const models: fc.Arbitrary<Model> = fc
  .record({
    irVersion: fc.integer({ min: 4, max: 13 }),
    opsets: fc
      .uniqueArray(fc.tuple(fc.constantFrom("", "ai.onnx.ml", "com.example"), fc.integer({ min: 1, max: 30 })), {
        minLength: 1,
        selector: ([domain]) => domain,
      })
      .map((entries) => new Map(entries)),
    producer: texts,
    plan: plans(2),
  })
  .map(({ plan, ...rest }) => {
    let counter = 0;
    return { ...rest, graph: build(plan, [], () => `v${counter++}`) };
  });
