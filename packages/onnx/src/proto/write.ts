import { expected } from "@parapet/core";
import type { Attribute, Graph, Model, Node, Tensor } from "../graph.ts";
import { tooLarge } from "../problem.ts";
import { codeOf, DEFAULT_LIMITS, type ReadModel, type ReadValueInfo } from "./types.ts";
import { Writer } from "./wire.ts";

/**
 * Writes an ONNX file: the same bytes for the same model, whoever writes it and when.
 *
 * @param model - the model; what `readModel` set apart is written, too
 * @param options - `values`: types of values in between, such as `readModel` gives them; not written unasked, since they
 * are wrong where the graph was changed
 * @returns the file
 * @throws RangeError when a tensor's data does not fit its shape, or an integer attribute is no safe integer
 * @throws ParapetError `"onnx/too-large"` beyond protobuf's 2 GB
 */
export function writeModel(
  model: Model & Partial<Pick<ReadModel, "otherInputs" | "otherOutputs">>,
  options: { readonly values?: readonly ReadValueInfo[] } = {},
): Uint8Array {
  const { otherInputs = [], otherOutputs = [] } = model;
  const { graph } = model;
  // Before version 4 of the format, every initializer is an input, too.
  const listed = model.irVersion < 4 ? Array.from(graph.initializers, ([name, tensor]) => ({ name, ...tensor })) : [];
  const whole = {
    ...graph,
    inputs: [...graph.inputs, ...otherInputs, ...listed],
    outputs: [...graph.outputs, ...otherOutputs],
  };
  const file = new Writer().integer(1, model.irVersion);
  if (model.producer !== "") file.string(2, model.producer);
  file.message(7, graphProto(whole, options.values));
  for (const [domain, version] of model.opsets) {
    file.message(8, new Writer().string(1, domain).integer(2, version));
  }
  for (const [key, text] of model.metadata ?? []) file.message(14, new Writer().string(1, key).string(2, text));
  if (file.length > DEFAULT_LIMITS.bytes) throw tooLarge("file", `at most ${DEFAULT_LIMITS.bytes} bytes`, file.length);
  return file.finish();
}

function graphProto(graph: Graph, values: readonly ReadValueInfo[] = []): Writer {
  const message = new Writer();
  for (const node of graph.nodes) message.message(1, nodeProto(node));
  message.string(2, graph.name);
  for (const [name, tensor] of graph.initializers) message.message(5, tensorProto(tensor, name));
  for (const input of graph.inputs) message.message(11, valueInfoProto(input));
  for (const output of graph.outputs) message.message(12, valueInfoProto(output));
  for (const value of values) message.message(13, valueInfoProto(value));
  return message;
}

function nodeProto(node: Node): Writer {
  const message = new Writer();
  for (const input of node.inputs) message.string(1, input);
  for (const output of node.outputs) message.string(2, output);
  if (node.name !== "") message.string(3, node.name);
  message.string(4, node.op);
  for (const [name, attribute] of Object.entries(node.attributes)) {
    message.message(5, attributeProto(name, attribute, node));
  }
  if (node.domain !== "") message.string(7, node.domain);
  return message;
}

function attributeProto(name: string, attribute: Attribute, node: Node): Writer {
  const message = new Writer().string(1, name);
  const integer = (value: number): number => {
    if (Number.isSafeInteger(value)) return value;
    throw new RangeError(expected(`${node.name}.${name}`, "a safe integer", value));
  };
  const { kind, value } = attribute;
  if (kind === "float") return message.float(2, value).integer(20, 1);
  if (kind === "int") return message.integer(3, integer(value)).integer(20, 2);
  if (kind === "string") return message.string(4, value).integer(20, 3);
  if (kind === "tensor") return message.message(5, tensorProto(value, "")).integer(20, 4);
  if (kind === "graph") return message.message(6, graphProto(value)).integer(20, 5);
  if (kind === "floats") {
    for (const each of value) message.float(7, each);
    return message.integer(20, 6);
  }
  if (kind === "ints") {
    for (const each of value) message.integer(8, integer(each));
    return message.integer(20, 7);
  }
  for (const each of value) message.string(9, each);
  return message.integer(20, 8);
}

function tensorProto({ dtype, shape, data }: Tensor, name: string): Writer {
  const count = shape.reduce((product, length) => product * length, 1);
  if (data.length !== count)
    throw new RangeError(expected(name || "tensor", `${count} elements for shape [${shape.join(", ")}]`, data.length));
  const message = new Writer();
  for (const length of shape) message.integer(1, length);
  message.integer(2, codeOf(dtype));
  if (!ArrayBuffer.isView(data)) for (const text of data) message.string(6, text);
  if (name !== "") message.string(8, name);
  // Little-endian, as every machine that runs onnxruntime.
  if (ArrayBuffer.isView(data)) message.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return message;
}

function valueInfoProto(value: ReadValueInfo): Writer {
  const message = new Writer().string(1, value.name);
  if (value.type !== undefined) return value.type.length === 0 ? message : message.bytes(2, value.type);
  const tensor = new Writer().integer(1, codeOf(value.dtype));
  if (value.shape !== undefined) {
    const shape = new Writer();
    for (const length of value.shape) {
      const dim = new Writer();
      if (typeof length === "number") dim.integer(1, length);
      else if (length !== undefined) dim.string(2, length);
      shape.message(1, dim);
    }
    tensor.message(2, shape);
  }
  return message.message(2, new Writer().message(1, tensor));
}
