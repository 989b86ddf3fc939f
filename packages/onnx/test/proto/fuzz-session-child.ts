import { readFileSync, writeSync } from "node:fs";
import { crossEntropy, ndArray, sizeOf } from "@parapet/core";
import * as runtime from "onnxruntime-node";
import { fromOnnx } from "../../src/from-onnx.ts";
import { type Attribute, attribute, type Graph, type Model, type Node, type Tensor } from "../../src/graph.ts";
import { readModel } from "../../src/proto/read.ts";
import { writeModel } from "../../src/proto/write.ts";
import { createRandom, mutate, type Random } from "./mutate.ts";

// Opens damaged and hostile files, one after the other, and says how each ended. Runs in a process of its own: what brings
// onnxruntime down brings this down. The number of the file is written before it is opened.

const { seeds, count, seed } = JSON.parse(process.argv[2]!) as { seeds: string[]; count: number; seed: number };
const files = seeds.map((path) => new Uint8Array(readFileSync(path)));

const HOSTILE = [0, 1, -1, 2, 3, 255, 65536, 2 ** 20, 2 ** 28, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 40, 2 ** 52];

/** A file that decodes, changed knowingly. */
function change(file: Uint8Array, random: Random): Uint8Array {
  const model = readModel(file);
  const { graph } = model;
  const one = <T>(list: readonly T[]): T => list[random(list.length)]!;
  const nodes = [...graph.nodes];
  const initializers = new Map<string, Tensor>(graph.initializers);
  const values = [...graph.nodes.flatMap(({ outputs }) => outputs), ...graph.inputs.map(({ name }) => name)];
  const at = random(nodes.length);
  const node = nodes[at]!;
  const put = (changed: Partial<Node>) => {
    nodes[at] = { ...node, ...changed };
  };
  const int64 = (name: string, numbers: readonly number[]) => {
    initializers.set(name, {
      dtype: "int64",
      shape: [numbers.length],
      data: BigInt64Array.from(numbers, (v) => BigInt(v)),
    });
    return name;
  };
  const insert = (op: string, inputs: readonly string[], attributes: Record<string, Attribute> = {}) => {
    // In the middle of the way: what read a value now reads the new node.
    const [x] = node.inputs;
    nodes.splice(
      at,
      1,
      { name: "new", op, domain: "", inputs: [x!, ...inputs], outputs: ["new"], attributes },
      {
        ...node,
        inputs: ["new", ...node.inputs.slice(1)],
      },
    );
  };
  const sizes = () => Array.from({ length: random(4) + 1 }, () => one(HOSTILE));
  const kinds: (() => void)[] = [
    () => put({ inputs: node.inputs.map((name) => (random(2) === 0 ? one(values) : name)) }),
    () => put({ inputs: [...node.inputs].reverse() }),
    () =>
      put({ op: one(["Relu", "MatMul", "Conv", "Gemm", "Softmax", "Add", "Flatten", "Einsum", "GRU", "Loop", "If"]) }),
    () => put({ inputs: node.inputs.slice(0, random(node.inputs.length + 1)) }),
    () => put({ outputs: [...node.outputs, "more"] }),
    () => {
      const entries = Object.entries(node.attributes);
      if (entries.length === 0) return;
      const [name, { kind }] = one(entries);
      const value =
        kind === "ints"
          ? attribute.ints(sizes())
          : kind === "int"
            ? attribute.int(one(HOSTILE))
            : attribute.float(Number.NaN);
      put({ attributes: { ...node.attributes, [name]: value } });
    },
    () => {
      const [name, tensor] = one([...initializers]);
      const flat = [tensor.data.length];
      const turned = [...tensor.shape].reverse();
      initializers.set(name, { ...tensor, shape: random(2) === 0 ? flat : turned } as Tensor);
    },
    () => {
      const [name, tensor] = one([...initializers]);
      if (!(tensor.data instanceof Float32Array)) return;
      const wild = one([Number.NaN, Number.POSITIVE_INFINITY, 1e38, -0]);
      initializers.set(name, { ...tensor, data: tensor.data.map((v) => (random(8) === 0 ? wild : v)) } as Tensor);
    },
    () => {
      const [name, tensor] = one([...initializers]);
      if (tensor.dtype === "int64") int64(name, sizes());
      else initializers.set(name, { dtype: "int32", shape: tensor.shape, data: new Int32Array(tensor.data.length) });
    },
    () => insert("Expand", [int64("size", sizes())]),
    () => insert("Tile", [int64("size", sizes())]),
    () => insert("Pad", [int64("size", sizes())]),
    () => insert("Reshape", [int64("size", sizes())]),
    () => insert("Concat", [node.inputs[0]!, node.inputs[0]!], { axis: attribute.int(one([0, 1, -1, 7])) }),
    () => insert("Transpose", [], { perm: attribute.ints(sizes()) }),
    () =>
      insert(one(["NonZero", "Shape", "Unique", "Not", "Cast", "Identity", "Dropout", "LRN", "Det", "Hardmax"]), []),
    () =>
      nodes.splice(at, 0, {
        name: "c",
        op: "ConstantOfShape",
        domain: "",
        inputs: [int64("size", sizes())],
        outputs: [one([...node.inputs, "c"])],
        attributes: {},
      }),
    () => nodes.splice(random(nodes.length), 0, node),
    () => nodes.splice(at, 1),
    () => nodes.reverse(),
  ];
  for (let i = random(3); i >= 0; i--) one(kinds)();
  const outputs = random(8) === 0 ? [{ ...graph.outputs[0]!, name: one(values) }] : graph.outputs;
  const inputs =
    random(8) === 0
      ? graph.inputs.map((input) => ({ ...input, shape: sizes().map((size) => Math.abs(size)) }))
      : graph.inputs;
  const changed: Graph = { ...graph, nodes, initializers, inputs, outputs };
  return writeModel({ ...(model as Model), graph: changed });
}

function decodes(file: Uint8Array): boolean {
  try {
    readModel(file);
    return true;
  } catch {
    return false;
  }
}

const random = createRandom(seed);
const ends: Record<string, number> = {};
let slowest = 0;
let ran = 0;
const options = { runtime, bounds: { lower: 0, upper: 1 }, session: { intraOpNumThreads: 1, logSeverityLevel: 4 } };
for (let i = 0; i < count; i++) {
  let file: Uint8Array = files[random(files.length)]!;
  // One in 40 is changed knowingly: these get far. Of the others, most of those that decode are not opened, for time.
  let open = true;
  if (random(40) > 0) {
    file = mutate(file, files[random(files.length)]!, random);
    open = random(4) === 0 || !decodes(file);
  } else {
    try {
      file = change(file, random);
    } catch {
      continue; // what cannot be written is no file
    }
  }
  if (!open) {
    ends.decoded = (ends.decoded ?? 0) + 1;
    continue;
  }
  writeSync(2, `${i}\n`);
  const start = performance.now();
  let end = "opened";
  try {
    const model = await fromOnnx(file, options);
    ran++;
    try {
      const shape = [1, ...model.inputShape];
      const x = ndArray(new Float32Array(sizeOf(shape)).fill(0.5), shape);
      await model.gradient(x, crossEntropy([0]));
      end = "answered";
    } finally {
      await model.release();
    }
  } catch (error) {
    const { code, message, name } = error as Error & { code?: string };
    const ours = code?.startsWith("onnx/") === true || (/ expected /.test(message) && /^(Type|Range)Error$/.test(name));
    end = ours ? (code ?? name) : `strange: ${name}: ${message.slice(0, 200)}`;
    if (!ours || message.length > 5000) {
      writeSync(1, `${JSON.stringify({ failure: end, file: Buffer.from(file).toString("base64") })}\n`);
      process.exit(3);
    }
  }
  ends[end] = (ends[end] ?? 0) + 1;
  slowest = Math.max(slowest, performance.now() - start);
}
const memory = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) / 1024;
writeSync(1, `${JSON.stringify({ ends, slowest, ran, memory })}\n`);
