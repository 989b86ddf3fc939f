import { expected, ParapetError } from "@parapet/core";
import type { Attribute, Graph, Node, Tensor } from "./graph.ts";
import { brief, type OnnxErrorCode } from "./problem.ts";

/** Entries of one value, and of one setting: beyond what any classifier of today has. */
const mostEntries = 2 ** 28;
const largestSetting = 2 ** 20;

/** Nodes that run a graph as often as a value says: no bound is known before. */
const UNBOUNDED = new Set(["Loop", "Scan", "SequenceMap"]);

/** Inputs that say how large the output is; `sizes` are its lengths, `factors` are what lengths are multiplied by. */
const SIZES: Readonly<Record<string, { readonly input: number; readonly kind: "sizes" | "factors" | "lengths" }>> = {
  ConstantOfShape: { input: 0, kind: "sizes" },
  Expand: { input: 1, kind: "sizes" },
  Tile: { input: 1, kind: "factors" },
  Upsample: { input: 1, kind: "factors" },
  Pad: { input: 1, kind: "lengths" },
  OneHot: { input: 1, kind: "lengths" },
};

/**
 * Refuses a graph that says of itself that it will take more memory or time than a classifier needs, before anything is
 * run. What a graph only computes is not seen: a file that nobody vouches for is opened in a process with a limit.
 *
 * @throws ParapetError "onnx/too-large" or "onnx/unsupported"
 */
export function checkLimits(graph: Graph): void {
  const constants = new Map<string, Tensor>(graph.initializers);
  for (const node of graph.nodes) {
    const { value } = node.attributes;
    if (node.op === "Constant" && value?.kind === "tensor") constants.set(node.outputs[0]!, value.value);
  }
  for (const node of graph.nodes) {
    if (UNBOUNDED.has(node.op)) {
      const what = expected(`node "${brief(node.name || node.outputs[0]!)}"`, "no repetition", node.op);
      throw new ParapetError<OnnxErrorCode>("onnx/unsupported", what);
    }
    for (const [name, attribute] of Object.entries(node.attributes)) {
      if (attribute.kind === "graph") checkLimits(attribute.value);
      else checkAttribute(node, name, attribute);
    }
    checkInputs(node, constants);
  }
}

/** Strides, pads, kernels and the like; `shape` and `output_shape` are lengths of the output. */
function checkAttribute(node: Node, name: string, attribute: Attribute): void {
  if (attribute.kind !== "int" && attribute.kind !== "ints") return;
  const values = attribute.kind === "int" ? [attribute.value] : attribute.value;
  // Ends of slices say "to the end" with the largest numbers; classes of other domains have any number.
  if (node.domain !== "" || node.op === "Slice" || node.op === "Constant" || name.startsWith("ax")) return;
  const size = /^(output_)?shape$/.test(name) ? product(values) : 0;
  const largest = Math.max(0, ...values.map(Math.abs));
  if (size > mostEntries || largest > largestSetting) throw tooMuch(node, name, largest);
}

function checkInputs(node: Node, constants: ReadonlyMap<string, Tensor>): void {
  const numbers = (index: number): number[] =>
    Array.from((constants.get(node.inputs[index] ?? "")?.data ?? []) as ArrayLike<number | bigint>, Number);
  const rule = Object.hasOwn(SIZES, node.op) ? SIZES[node.op] : undefined;
  if (rule !== undefined) {
    const values = numbers(rule.input);
    const found = rule.kind === "lengths" ? Math.max(0, ...values.map(Math.abs)) : product(values);
    if (found > (rule.kind === "sizes" ? mostEntries : largestSetting)) throw tooMuch(node, "size", found);
  }
  if (node.op === "Resize" || node.op === "Upsample") {
    const scale = product(numbers(2));
    const size = product(numbers(3));
    if (scale > largestSetting || size > mostEntries) throw tooMuch(node, "size", Math.max(scale, size));
  }
  if (node.op === "Range") {
    const [start = 0, limit = 0, step = 1] = [0, 1, 2].map((index) => numbers(index)[0]);
    const count = Math.abs((limit - start) / step);
    if (count > mostEntries) throw tooMuch(node, "length", count);
  }
}

const product = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((total, value) => total * Math.max(1, Math.abs(value)), 1);

function tooMuch(node: Node, what: string, got: number): ParapetError<OnnxErrorCode> {
  const name = `${what} of ${brief(node.op)} "${brief(node.name || node.outputs[0]!)}"`;
  return new ParapetError("onnx/too-large", expected(name, "what fits a classifier", got));
}
