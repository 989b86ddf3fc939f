import { type Attribute, attribute, type Model, type Node, type Tensor, type ValueInfo } from "../../src/graph.ts";
import { readModel } from "../../src/proto/read.ts";
import { ARRAYS } from "../../src/proto/types.ts";
import { writeModel } from "../../src/proto/write.ts";
import { createRandom, mutate, type Random } from "./mutate.ts";

/** Mutations of what a file says: most of what comes out still decodes, and reaches the runtime. */

type NumberType = keyof typeof ARRAYS;

const LENGTHS = [-1, 0, 1, 2, 3, 5, 8, 100, 255, 2 ** 12, 2 ** 16, 2 ** 20, 2 ** 31 - 1, 2 ** 31, 2 ** 40, 2 ** 53 - 1];
const FLOATS = [0, -1, 0.5, 3, 1e-30, 1e30, 3.4e38, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
const DTYPES = Object.keys(ARRAYS) as NumberType[];
const TEXTS =
  "linear cubic nearest half_pixel align_corners tf_crop_and_resize SAME_UPPER SAME_LOWER VALID reflect edge wrap add mul max floor ceil CRD DCR tanh sum none ij,jk->ik ...i->... i,j->ij ii->".split(
    " ",
  );

/** A model that is being changed. */
interface Draft {
  opset: number;
  inputs: ValueInfo[];
  outputs: ValueInfo[];
  initializers: [string, Tensor][];
  nodes: Node[];
  readonly other: Model;
  readonly random: Random;
  fresh(): string;
}

const pick = <T>(random: Random, list: readonly T[]): T | undefined => list[random(list.length)];

function tensorOf(dtype: NumberType, shape: readonly number[], values: readonly number[]): Tensor {
  const whole = (value: number): bigint => BigInt.asIntN(64, BigInt(Number.isFinite(value) ? Math.trunc(value) : 0));
  const data =
    dtype === "int64"
      ? BigInt64Array.from(values, whole)
      : dtype === "uint64"
        ? BigUint64Array.from(values, whole)
        : dtype === "bool"
          ? Uint8Array.from(values, (value) => (value ? 1 : 0))
          : ARRAYS[dtype].from(values);
  return { dtype, shape, data } as Tensor;
}

const numbersOf = ({ data }: Tensor): number[] => Array.from(data as ArrayLike<number | bigint>, Number);

/** A constant of the draft; its name. */
function constant(
  draft: Draft,
  dtype: NumberType,
  values: readonly number[],
  shape: readonly number[] = [values.length],
): string {
  const name = draft.fresh();
  draft.initializers.push([name, tensorOf(dtype, shape, values)]);
  return name;
}

const lengths = (draft: Draft): number[] => Array.from({ length: draft.random(4) }, () => pick(draft.random, LENGTHS)!);

/** Every value that a node may use. */
const values = (draft: Draft): string[] => [
  ...draft.inputs.map(({ name }) => name),
  ...draft.initializers.map(([name]) => name),
  ...draft.nodes.flatMap(({ outputs }) => outputs),
];

const make = (draft: Draft, op: string, inputs: readonly string[], attributes: Node["attributes"] = {}): Node => ({
  name: "",
  op,
  domain: "",
  inputs,
  outputs: [draft.fresh()],
  attributes,
});

/** Puts nodes before one, which takes the last one's output in place of an input. */
function before(draft: Draft, write: (x: string) => readonly Node[]): void {
  const at = draft.random(draft.nodes.length);
  const node = draft.nodes[at];
  const index = draft.random(node?.inputs.length ?? 0);
  const x = node?.inputs[index] ?? "";
  if (node === undefined || x === "") return;
  const added = write(x);
  const inputs = node.inputs.map((name, i) => (i === index ? added.at(-1)!.outputs[0]! : name));
  draft.nodes.splice(at, 1, ...added, { ...node, inputs });
}

const body = (
  draft: Draft,
  inputs: readonly string[],
  nodes: readonly Node[],
  outputs: readonly string[],
): Attribute => ({
  kind: "graph",
  value: {
    name: draft.fresh(),
    inputs: inputs.map((name) => ({
      name,
      dtype: name.startsWith("i") ? "int64" : name.startsWith("b") ? "bool" : "float32",
      shape: undefined,
    })),
    outputs: outputs.map((name) => ({ name, dtype: name.startsWith("b") ? "bool" : "float32", shape: undefined })),
    initializers: new Map(),
    nodes,
  },
});

/** Nodes that make much out of little, from a value. */
const GROWING: readonly ((draft: Draft, x: string) => readonly Node[])[] = [
  (d, x) => {
    const zeros = make(d, "ConstantOfShape", [constant(d, "int64", lengths(d))]);
    return [zeros, make(d, "Add", [x, zeros.outputs[0]!])];
  },
  (d, x) => [make(d, "Expand", [x, constant(d, "int64", lengths(d))])],
  (d, x) => [make(d, "Tile", [x, constant(d, "int64", lengths(d))])],
  (d, x) => {
    const range = make(
      d,
      "Range",
      [0, pick(d.random, LENGTHS)!, d.random(3) - 1].map((v) => constant(d, "int64", [v], [])),
    );
    const cast = make(d, "Cast", range.outputs, { to: attribute.int(1) });
    return [range, cast, make(d, "Add", [x, cast.outputs[0]!])];
  },
  (d, x) => {
    const range = make(
      d,
      "Range",
      [0, pick(d.random, [...FLOATS, ...LENGTHS])!, pick(d.random, FLOATS)!].map((v) =>
        constant(d, "float32", [v], []),
      ),
    );
    return [range, make(d, "Add", [x, range.outputs[0]!])];
  },
  (d, x) => [
    make(d, "Pad", [x, constant(d, "int64", [...lengths(d), ...lengths(d)])], {
      mode: attribute.string(pick(d.random, ["constant", "edge", "reflect", "wrap"])!),
    }),
  ],
  (d, x) => [
    make(d, "Resize", [x, "", "", constant(d, "int64", lengths(d))], {
      mode: attribute.string(pick(d.random, TEXTS)!),
    }),
  ],
  (d, x) => [
    make(
      d,
      "Resize",
      [
        x,
        "",
        constant(
          d,
          "float32",
          Array.from({ length: d.random(5) }, () => pick(d.random, [...FLOATS, ...LENGTHS])!),
        ),
      ],
      { mode: attribute.string(pick(d.random, ["linear", "nearest", "cubic"])!) },
    ),
  ],
  (d, x) => {
    const indices = make(d, "Cast", [x], { to: attribute.int(7) });
    return [
      indices,
      make(d, "OneHot", [
        indices.outputs[0]!,
        constant(d, "int64", [pick(d.random, LENGTHS)!]),
        constant(d, "float32", [0, 1]),
      ]),
    ];
  },
  // Each concatenation doubles.
  (d, x) => {
    const nodes = [make(d, "Concat", [x, x], { axis: attribute.int(-1) })];
    for (let i = d.random(40); i > 0; i--)
      nodes.push(
        make(d, "Concat", [nodes.at(-1)!.outputs[0]!, nodes.at(-1)!.outputs[0]!], { axis: attribute.int(-1) }),
      );
    return nodes;
  },
  // So does each sum of a row and a column, of what is only known when it runs.
  (d, x) => {
    const nodes = [make(d, "NonZero", [x])];
    nodes.push(make(d, "Cast", nodes[0]!.outputs, { to: attribute.int(1) }));
    for (let i = d.random(12); i > 0; i--) {
      const row = make(d, "Reshape", [nodes.at(-1)!.outputs[0]!, constant(d, "int64", [1, -1])]);
      const column = make(d, "Reshape", [nodes.at(-1)!.outputs[0]!, constant(d, "int64", [-1, 1])]);
      nodes.push(
        row,
        column,
        make(d, pick(d.random, ["Add", "MatMul", "Einsum"])!, [column.outputs[0]!, row.outputs[0]!], {
          equation: attribute.string("ij,kl->ijkl"),
        }),
      );
    }
    return nodes;
  },
  (d, x) => [make(d, "RandomNormal", [], { shape: attribute.ints(lengths(d)) }), make(d, "EyeLike", [x])],
  (d) => [
    make(d, pick(d.random, ["HannWindow", "BlackmanWindow", "HammingWindow"])!, [
      constant(d, "int64", [pick(d.random, LENGTHS)!], []),
    ]),
  ],
  (d, x) => [
    make(d, "ConvTranspose", [x, constant(d, "float32", [1, 2, 3, 4], [1, 1, 2, 2])], {
      strides: attribute.ints([pick(d.random, LENGTHS)!, pick(d.random, LENGTHS)!]),
      pads: attribute.ints([0, 0, 0, 0].map(() => pick(d.random, LENGTHS)!)),
    }),
  ],
  (d, x) => {
    const flags = {
      condition: constant(d, "bool", [1], []),
      trips: constant(d, "int64", [pick(d.random, LENGTHS)!], []),
    };
    const [i, b, carried] = [`i${d.fresh()}`, `b${d.fresh()}`, d.fresh()];
    const again = { ...make(d, "Identity", [b]), outputs: [`b${d.fresh()}`] };
    const grown = make(d, "Concat", [carried, carried], { axis: attribute.int(0) });
    const loop = body(d, [i, b, carried], [again, grown], [again.outputs[0]!, grown.outputs[0]!]);
    return [make(d, "Loop", [flags.trips, flags.condition, x], { body: loop })];
  },
  (d, x) => {
    const [state, step] = [d.fresh(), d.fresh()];
    const sum = make(d, "Add", [state, step]);
    const scan = body(d, [state, step], [sum], [sum.outputs[0]!]);
    return [make(d, "Scan", [x, x], { body: scan, num_scan_inputs: attribute.int(1) })];
  },
  (d, x) => {
    const branch = () => {
      const inner = make(
        d,
        pick(d.random, ["Identity", "Squeeze", "Unsqueeze", "Concat", "Tile"])!,
        [x, constant(d, "int64", [1])].slice(0, 1 + d.random(2)),
      );
      return body(d, [], [inner], inner.outputs);
    };
    return [make(d, "If", [constant(d, "bool", [d.random(2)], [])], { then_branch: branch(), else_branch: branch() })];
  },
];

function changedAttribute({ random }: Draft, old: Attribute): Attribute {
  const length = () => pick(random, LENGTHS)!;
  switch (old.kind) {
    case "int":
      return attribute.int(random(2) === 0 ? old.value + random(3) - 1 : length());
    case "float":
      return attribute.float(pick(random, FLOATS)!);
    case "string":
      return attribute.string(pick(random, TEXTS)!);
    case "ints": {
      const list = [...old.value];
      if (random(3) === 0) list.splice(random(list.length + 1), random(2), length());
      else list[random(list.length)] = random(2) === 0 ? length() : random(5) - 1;
      return attribute.ints(list.filter((value) => value !== undefined));
    }
    case "floats":
      return attribute.floats(old.value.map((value) => (random(2) === 0 ? value : pick(random, FLOATS)!)));
    case "tensor":
      return old.value.dtype === "string" ? old : attribute.tensor(changedTensor(random, old.value));
    default:
      return old;
  }
}

function changedTensor(random: Random, tensor: Tensor): Tensor {
  const { dtype, shape } = tensor;
  if (dtype === "string") return tensor;
  const numbers = numbersOf(tensor);
  const choice = random(5);
  if (choice === 0) return tensorOf(dtype, [...shape].reverse(), numbers);
  if (choice === 1) return tensorOf(dtype, random(2) === 0 ? [numbers.length] : [...shape, 1], numbers);
  if (choice === 2) return tensorOf(pick(random, DTYPES)!, shape, numbers);
  if (choice === 3) {
    const other = shape.map((length) => (random(2) === 0 ? length : random(4)));
    const count = other.reduce((product, length) => product * length, 1);
    return tensorOf(
      dtype,
      other,
      Array.from({ length: Math.min(count, 4096) }, (_, i) => numbers[i % (numbers.length || 1)] ?? 0),
    );
  }
  numbers[random(numbers.length)] = pick(random, dtype.startsWith("float") ? FLOATS : LENGTHS)!;
  return tensorOf(
    dtype,
    shape,
    numbers.slice(
      0,
      shape.reduce((product, length) => product * length, 1),
    ),
  );
}

/** Replaces a node by what `change` makes of it. */
function edit(draft: Draft, change: (node: Node) => Node): void {
  const at = draft.random(draft.nodes.length);
  const node = draft.nodes[at];
  if (node !== undefined) draft.nodes[at] = change(node);
}

const EDITS: readonly ((draft: Draft) => void)[] = [
  // attributes
  ...Array.from({ length: 3 }, () => (d: Draft) => {
    edit(d, (node) => {
      const [name, old] = pick(d.random, Object.entries(node.attributes)) ?? [];
      if (name === undefined || old === undefined) return node;
      return { ...node, attributes: { ...node.attributes, [name]: changedAttribute(d, old) } };
    });
  }),
  (d) => {
    edit(d, (node) => {
      const names = Object.keys(node.attributes);
      const gone = pick(d.random, names);
      return {
        ...node,
        attributes: Object.fromEntries(Object.entries(node.attributes).filter(([name]) => name !== gone)),
      };
    });
  },
  (d) => {
    const donor = pick(d.random, d.other.graph.nodes);
    edit(d, (node) => ({ ...node, attributes: { ...node.attributes, ...donor?.attributes } }));
  },
  // inputs
  (d) => edit(d, (node) => ({ ...node, inputs: [...node.inputs].reverse() })),
  (d) => {
    edit(d, (node) => {
      const inputs = [...node.inputs];
      const choice = d.random(4);
      if (choice === 0) inputs.pop();
      else if (choice === 1) inputs.push(pick(d.random, values(d))!);
      else if (inputs.length > 0) inputs[d.random(inputs.length)] = choice === 2 ? "" : pick(d.random, values(d))!;
      return { ...node, inputs };
    });
  },
  // constants
  ...Array.from({ length: 3 }, () => (d: Draft) => {
    const at = d.random(d.initializers.length);
    const entry = d.initializers[at];
    if (entry !== undefined) d.initializers[at] = [entry[0], changedTensor(d.random, entry[1])];
  }),
  // nodes
  (d) => {
    const node = pick(d.random, d.nodes);
    if (node !== undefined) before(d, () => [{ ...node, outputs: node.outputs.map(() => d.fresh()) }]);
  },
  (d) => {
    const donor = pick(d.random, d.other.graph.nodes);
    if (donor !== undefined) edit(d, (node) => ({ ...node, op: donor.op, domain: donor.domain }));
  },
  (d) => {
    const donor = pick(d.random, d.other.graph.nodes);
    if (donor === undefined) return;
    before(d, (x) => {
      const inputs = donor.inputs.map((name, i) => {
        const tensor = d.other.graph.initializers.get(name);
        if (i === 0 || name === "" || tensor === undefined) return name === "" ? "" : x;
        const own = d.fresh();
        d.initializers.push([own, tensor]);
        return own;
      });
      return [{ ...donor, inputs, outputs: donor.outputs.map(() => d.fresh()) }];
    });
  },
  ...Array.from({ length: 4 }, () => (d: Draft) => before(d, (x) => pick(d.random, GROWING)!(d, x))),
  (d) => {
    // Out of order, a cycle, or a name twice.
    const [a, b] = [d.random(d.nodes.length), d.random(d.nodes.length)];
    const [one, two] = [d.nodes[a], d.nodes[b]];
    if (one === undefined || two === undefined) return;
    const choice = d.random(3);
    if (choice === 0) [d.nodes[a], d.nodes[b]] = [two, one];
    else if (choice === 1) d.nodes[a] = { ...one, inputs: [...one.inputs.slice(1), two.outputs[0] ?? ""] };
    else d.nodes[a] = { ...one, outputs: two.outputs };
  },
  // inputs and outputs of the graph
  (d) => {
    const at = d.random(d.inputs.length);
    const info = d.inputs[at];
    if (info === undefined) return;
    const shape = [...(info.shape ?? [])];
    if (d.random(3) === 0) shape.splice(d.random(shape.length + 1), d.random(2), d.random(4));
    else if (shape.length > 0) shape[d.random(shape.length)] = d.random(2) === 0 ? d.random(300) : undefined;
    d.inputs[at] = { ...info, dtype: d.random(4) === 0 ? pick(d.random, DTYPES)! : info.dtype, shape };
  },
  (d) => {
    const name = pick(d.random, values(d));
    if (name !== undefined && name !== "") d.outputs = [{ name, dtype: "float32", shape: undefined }];
  },
  (d) => {
    d.opset = 13 + d.random(14);
  },
];

function edited(model: Model, other: Model, random: Random): Uint8Array {
  const { graph } = model;
  let counter = 0;
  const draft: Draft = {
    opset: model.opsets.get("") ?? 1,
    inputs: [...graph.inputs],
    outputs: [...graph.outputs],
    initializers: [...graph.initializers],
    nodes: [...graph.nodes],
    other,
    random,
    fresh: () => `fresh${counter++}`,
  };
  for (let edits = 1 + random(3); edits > 0; edits--) pick(random, EDITS)!(draft);
  const { inputs, outputs, initializers, nodes } = draft;
  return writeModel({
    ...model,
    opsets: new Map([...model.opsets, ["", draft.opset]]),
    graph: { ...graph, inputs, outputs, initializers: new Map(initializers), nodes },
  });
}

/** Cut off, or with some bytes that are others: what costs the least, and is refused the soonest. */
function damaged(seed: Uint8Array, random: Random): Uint8Array {
  if (random(4) === 0) return seed.slice(0, random(seed.length));
  const bytes = seed.slice();
  for (let changes = 1 + random(8); changes > 0; changes--) bytes[random(bytes.length)] = random(256);
  return bytes;
}

/** Number `index` of the mutants of some files: the same one every time. */
export function createMutants(seeds: readonly Uint8Array[], seed: number): (index: number) => Uint8Array {
  const models = seeds.map((bytes) => readModel(bytes));
  return (index) => {
    const random = createRandom(Math.imul(seed + index, 0x9e3779b1));
    const [one, other] = [random(seeds.length), random(seeds.length)];
    // The more a change knows, the longer a file takes.
    const choice = random(32);
    if (choice === 0) return edited(models[one]!, models[other]!, random);
    if (choice <= 8) return mutate(seeds[one]!, seeds[other]!, random);
    return damaged(seeds[one]!, random);
  };
}
