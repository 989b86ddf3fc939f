import { expected } from "@parapet/core";
import type { Graph } from "../graph.ts";
import { brief, malformed, tooLarge, unsupported } from "../problem.ts";
import { checkOrder } from "./check-order.ts";
import { type Budget, describe, only, readGraph } from "./read-graph.ts";
import { DEFAULT_LIMITS, type Limits, type ReadModel, type ReadValueInfo } from "./types.ts";
import { Reader } from "./wire.ts";

/**
 * Reads an ONNX file. Everything in the result is fresh: nothing points into `bytes`. Documentation and training
 * information are left out; so are local functions, unless a node calls one.
 *
 * @param bytes - the file
 * @param options - `limits`: how much the file may ask for
 * @returns the model, in an order in which its nodes can run
 * @throws TypeError when `bytes` are no bytes
 * @throws ParapetError `"onnx/malformed"` when it is no ONNX file or a damaged one, `"onnx/unsupported"` when it holds
 * what is not carried (external data, sparse tensors, calls of local functions, bfloat16, ...), `"onnx/too-large"` when
 * it exceeds a limit
 */
export function readModel(bytes: Uint8Array, options: { readonly limits?: Partial<Limits> } = {}): ReadModel {
  if (!ArrayBuffer.isView(bytes) || bytes instanceof DataView)
    throw new TypeError(expected("bytes", "a Uint8Array", bytes));
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  if (bytes.byteLength > limits.bytes) throw tooLarge("file", `at most ${limits.bytes} bytes`, bytes.byteLength);
  // Not a Buffer, whose slices are no copies.
  const reader = new Reader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const values: ReadValueInfo[] = [];
  const budget: Budget = { limits, objects: 0 };
  let irVersion: number | bigint = 0;
  let producer = "";
  let graph: Reader | undefined;
  const opsets = new Map<string, number>();
  const functions = new Set<string>();
  const metadata = new Map<string, string>();
  while (reader.next()) {
    if (reader.field === 1) irVersion = reader.integer();
    else if (reader.field === 2) producer = reader.string();
    else if (reader.field === 7) graph = only(graph, reader.message(), "graph of the file");
    else if (reader.field === 8) readOpset(reader.message(), opsets);
    else if (reader.field === 14) readText(reader.message(), metadata);
    else if (reader.field === 25) functions.add(readFunctionName(reader.message()));
    else reader.skip();
  }
  if (typeof irVersion !== "number" || irVersion < 1) throw malformed("file", "an irVersion >= 1", String(irVersion));
  if (graph === undefined) throw malformed("file", "a graph", "none");
  if (opsets.size === 0) {
    if (irVersion >= 3) throw malformed("file", "versions of its operator sets", "none");
    opsets.set("", 1);
  }
  const read = readGraph(graph, budget, 0, values);
  checkOrder(read);
  if (functions.size > 0) refuseCalls(read, functions);
  return { irVersion, opsets, producer, ...(metadata.size > 0 ? { metadata } : {}), ...withoutOthers(read), values };
}

function readOpset(reader: Reader, opsets: Map<string, number>): void {
  let domain = "";
  let version: number | bigint = 0;
  while (reader.next()) {
    if (reader.field === 1) domain = reader.string();
    else if (reader.field === 2) version = reader.integer();
    else reader.skip();
  }
  if (domain === "ai.onnx") domain = "";
  const what = `operator set "${brief(domain)}"`;
  if (typeof version !== "number" || version < 1) throw malformed(what, "a version >= 1", String(version));
  // skl2onnx says the same twice.
  const before = opsets.get(domain) ?? version;
  if (before !== version) throw malformed(what, "one version", [before, version]);
  opsets.set(domain, version);
}

function readText(reader: Reader, metadata: Map<string, string>): void {
  let key = "";
  let text = "";
  while (reader.next()) {
    if (reader.field === 1) key = reader.string();
    else if (reader.field === 2) text = reader.string();
    else reader.skip();
  }
  metadata.set(key, text);
}

function readFunctionName(reader: Reader): string {
  let name = "";
  let domain = "";
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 10) domain = reader.string();
    else reader.skip();
  }
  return operator(domain === "ai.onnx" ? "" : domain, name);
}

function operator(domain: string, op: string): string {
  return `${domain}\n${op}`;
}

/** PyTorch leaves functions behind that nothing calls any more: only calls are refused. */
function refuseCalls(graph: Graph, functions: ReadonlySet<string>): void {
  for (const node of graph.nodes) {
    if (functions.has(operator(node.domain, node.op)))
      throw unsupported(describe(node), "an operator", "a call of a function in the file (inline it first)");
    for (const attribute of Object.values(node.attributes)) {
      if (attribute.kind === "graph") refuseCalls(attribute.value, functions);
    }
  }
}

/** Sets what is no tensor apart: the graph's own inputs and outputs are tensors with a type. */
function withoutOthers(graph: Graph): Pick<ReadModel, "graph" | "otherInputs" | "otherOutputs"> {
  const split = (values: ReadModel["otherInputs"]) => {
    const tensors = values.filter(({ type }) => type === undefined);
    const others = values.filter(({ type }) => type !== undefined);
    for (const { name, type } of others) {
      if (type?.length === 0) throw malformed(`input or output ${brief(name)}`, "a type", "none");
    }
    return { tensors, others };
  };
  const inputs = split(graph.inputs);
  const outputs = split(graph.outputs);
  return {
    graph: { ...graph, inputs: inputs.tensors, outputs: outputs.tensors },
    otherInputs: inputs.others,
    otherOutputs: outputs.others,
  };
}
