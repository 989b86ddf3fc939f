import { type Graph, int, type Model, type Node, type Tensor, type ValueInfo } from "./graph.ts";
import { tooLarge, unsupported } from "./problem.ts";
import { describe } from "./proto/read-graph.ts";
import { captured, type OnnxRuntime, type RuntimeTensor, startProgram, toRuntime, untyped } from "./runtime.ts";

/** No tensor has more axes, so no value of more elements is a shape. */
const AXES = 64;
/** The largest length, stride, axis, ... that a node states itself. */
const SETTING = 2 ** 20;
/** How many nodes are asked about at once, and in how many ways a value may go into one of them. */
const TOGETHER = 2 ** 8;

/** Operators that give no more than they take, though how much shows only when they run. */
const SHRINKING = new Set(["NonZero", "Compress", "Unique", "NonMaxSuppression"]);
/** Operators that take shapes, alone or behind their data. */
const SHAPED = new Set(["ConstantOfShape", "Reshape", "Expand", "Resize", "Upsample", "Col2Im", "CenterCropPad"]);
/** What may stand in a branch: it gives no more than it takes, either. */
const KEEPING = new Set(["If", "Identity", "Constant", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Slice"]);
/** Operators whose inputs all have to be there, though onnxruntime 1.30 does not look. */
const COMPLETE = new Set(["Max", "Min", "Sum", "Mean", "Concat", "LayerNormalization"]);

type Values = Readonly<Record<string, RuntimeTensor>>;

/**
 * Runs a graph with every value as an output, after the runtime has been asked how large each will be: a small file may
 * want any amount of memory. Where the graph computes shapes, it is run up to there, and asked about the rest. Loops are
 * refused, and so is what onnxruntime is known to die of.
 *
 * @param feeds - the inputs
 * @returns all values: inputs, initializers, and what the nodes give
 * @throws ParapetError "onnx/too-large" beyond the limits; "onnx/unsupported" for loops, and where a size cannot be
 * foreseen; "onnx/runtime" when onnxruntime cannot run the graph
 */
export async function trialRun(runtime: OnnxRuntime, model: Model, feeds: Values): Promise<Values> {
  const { nodes, initializers } = model.graph;
  nodes.forEach(checkNode);
  const held = Object.fromEntries(Array.from(initializers, ([name, tensor]) => [name, toRuntime(runtime, tensor)]));
  // More than a network needs that holds and takes so much.
  let left = Math.min(2 ** 30, 2 ** 10 * total(held) + Math.min(2 ** 27, 2 ** 24 + 2 ** 6 * total(feeds)));
  let values = { ...held, ...feeds };
  let most = nodes.length;
  for (let start = 0; start < nodes.length; ) {
    const part = askedTogether(nodes, start).slice(0, most);
    const blind = hasGraph(part[0]!);
    const sizes = new Map<string, number>();
    const empty = new Set<string>();
    const note = (name: string, type: string, shape: readonly number[]): void => {
      const size = sizeOf(shape);
      sizes.set(name, type === "string" ? size * AXES : size);
      if (size === 0 && type.startsWith("float")) empty.add(name);
    };
    const inputs: ValueInfo[] = [];
    const told = new Map<string, Tensor>();
    const fed: Record<string, RuntimeTensor> = {};
    for (const name of new Set(part.flatMap(captured))) {
      const given = values[name];
      if (given === undefined) continue;
      const { type, dims, data } = given;
      const tensor = { dtype: type, shape: dims, data } as Tensor;
      note(name, type, dims);
      // Small values may be shapes: the runtime is told those, and of all others what they are.
      if (!blind && sizeOf(dims) <= AXES) told.set(name, tensor);
      else {
        inputs.push({ name, ...tensor, shape: blind ? undefined : dims });
        fed[name] = given;
      }
    }
    const refuseNothing = (node: Node): void => {
      // What only moves elements can do with none, and Resize has lists that are empty where they are not used.
      const moves = KEEPING.has(node.op) || /^(Resize|Concat|Split|Shape)$/.test(node.op);
      const isEmpty = !moves && node.inputs.some((name) => empty.has(name));
      if (isEmpty || (node.op === "OneHot" && sizes.get(node.inputs[1]!) === 0)) refuse(node, "elements");
    };
    for (const node of part) {
      refuseNothing(node);
      if (shapesOf(node).some((name) => sizes.get(name)! > AXES)) throw tooLarge(describe(node), "a shape", "more");
    }
    const outputs = part.flatMap((node) => node.outputs.filter((name) => name !== "").map(untyped));
    const program = await startProgram(
      runtime,
      model,
      { name: "", inputs, outputs, initializers: told, nodes: part },
      {
        graphOptimizationLevel: "disabled",
        logSeverityLevel: 4,
        // Threads are started only where there is work for them.
        ...(total(fed) < 2 ** 16 ? { intraOpNumThreads: 1 } : {}),
      },
    );
    try {
      for (const { name, type, shape } of program.outputs) {
        // Without a sign, as in a browser, a length that is not known is 2^32 - 1.
        const isKnown = (length: unknown) => typeof length === "number" && length >= 0 && length !== 2 ** 32 - 1;
        if (shape?.every(isKnown)) note(name, type!, shape as number[]);
      }
      most = part.findIndex((node) => !isAlone(node) && !node.outputs.every((name) => name === "" || sizes.has(name)));
      if (most === 0) refuse(part[0]!, "results of a size that is known beforehand");
      // Asked again about fewer.
      if (most > 0) continue;
      most = nodes.length;
      for (const node of part) {
        refuseNothing(node);
        for (const name of node.outputs) left -= sizes.get(name) ?? 0;
        if (left < 0) throw tooLarge(describe(node), "fewer elements", "more");
      }
      values = { ...values, ...(await program.run(fed)) };
      start += part.length;
    } finally {
      await program.release();
    }
  }
  return values;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

const total = (tensors: Values): number => Object.values(tensors).reduce((sum, { dims }) => sum + sizeOf(dims), 0);

const graphsOf = (node: Node): Graph[] =>
  Object.values(node.attributes).flatMap((attribute) => (attribute.kind === "graph" ? [attribute.value] : []));

const hasGraph = (node: Node): boolean => graphsOf(node).length > 0;

/** Whether a node is run without knowing how much it will give. */
const isAlone = (node: Node): boolean => SHRINKING.has(node.op) || hasGraph(node);

/** The inputs of a node that are shapes. */
const shapesOf = ({ op, inputs }: Node): readonly string[] =>
  SHAPED.has(op) ? inputs.slice(inputs.length === 1 ? 0 : 1) : [];

/**
 * The nodes that can be asked about at once: not those that take shapes which the others make, and none into which one
 * value goes in many ways. There axes or elements may have doubled that often, and the runtime writes them all down.
 */
function askedTogether(nodes: readonly Node[], start: number): readonly Node[] {
  const ways = new Map<string, number>();
  let end = start;
  for (; end < nodes.length; end++) {
    const node = nodes[end]!;
    const sum = node.inputs.reduce((count, name) => count + (ways.get(name) ?? 1), 0);
    if (end > start && (isAlone(node) || sum > TOGETHER || shapesOf(node).some((name) => ways.has(name)))) break;
    if (isAlone(node)) return [node];
    for (const name of node.outputs) ways.set(name, Math.max(1, sum));
  }
  return nodes.slice(start, end);
}

function refuse(node: Node, expectation: string): never {
  throw unsupported(describe(node), expectation, "others");
}

/** Refuses loops, settings that no classifier has, and what ends the process of onnxruntime 1.30. */
function checkNode(node: Node): void {
  const { op, domain, inputs, outputs, attributes } = node;
  for (const { nodes } of graphsOf(node)) {
    if (op !== "If" || !nodes.every((inner) => KEEPING.has(inner.op)))
      refuse(node, "branches that keep what they take");
    nodes.forEach(checkNode);
  }
  const numbers = Object.values(attributes).flatMap(({ kind, value }) =>
    /^ints?$/.test(kind) ? (value as number) : [],
  );
  if (op !== "Constant" && domain === "" && numbers.some((number) => Math.abs(number) > SETTING))
    throw tooLarge(describe(node), `settings of at most ${SETTING}`, "more");
  if (op === "Split" && int(node, "num_outputs", outputs.length) !== outputs.length)
    refuse(node, "as many outputs as it says");
  if (op === "BatchNormalization" && int(node, "training_mode", 0) >>> 1 !== 0)
    refuse(node, "a training_mode of 0 or 1");
  if (COMPLETE.has(op) && inputs.includes("")) refuse(node, "all inputs");
}
