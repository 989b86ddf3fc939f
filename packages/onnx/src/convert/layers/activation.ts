import { attribute } from "../../graph.ts";
import { brief } from "../../problem.ts";
import { asObject } from "../config.ts";
import type { LayerContext } from "../context.ts";
import { storedAxis, type Value } from "../value.ts";

/** Writes an activation function; `x` is a tensor's name. */
type Activation = (context: LayerContext, x: string, axis: number) => string;

const named =
  (op: string): Activation =>
  ({ b }, x) =>
    b.add(op, [x]);
const alongChannels =
  (op: string): Activation =>
  ({ b }, x, axis) =>
    b.add(op, [x], { axis: attribute.int(axis) });
const swish: Activation = ({ b }, x) => b.add("Mul", [x, b.add("Sigmoid", [x])]);

/** tfjs's activation functions, written with operators that have derivatives. */
const activations: ReadonlyMap<string, Activation> = new Map<string, Activation>([
  ["linear", (_, x) => x],
  ["relu", named("Relu")],
  ["relu6", ({ b }, x) => b.add("Clip", [x, b.scalar(0), b.scalar(6)])],
  ["sigmoid", named("Sigmoid")],
  // ONNX's defaults are tfjs's constants: 0.2 and 0.5.
  ["hard_sigmoid", named("HardSigmoid")],
  ["softmax", alongChannels("Softmax")],
  ["log_softmax", alongChannels("LogSoftmax")],
  ["tanh", named("Tanh")],
  ["elu", named("Elu")],
  ["selu", named("Selu")],
  ["softplus", named("Softplus")],
  ["softsign", ({ b }, x) => b.add("Div", [x, b.add("Add", [b.add("Abs", [x]), b.scalar(1)])])],
  ["swish", swish],
  ["silu", swish],
  ["mish", ({ b }, x) => b.add("Mul", [x, b.add("Tanh", [b.add("Softplus", [x])])])],
  ["gelu", gelu],
  ["gelu_new", geluByTanh],
]);

/** Applies the activation function that the layer's configuration names under `activation`. */
export function activate(context: LayerContext, value: Value): Value {
  const { config, views } = context;
  const setting = config.get("activation") ?? "linear";
  const name = typeof setting === "object" ? asObject("activation", setting).class_name : setting;
  const activation = typeof name === "string" ? activations.get(snakeCase(name)) : undefined;
  if (activation === undefined) {
    const got = typeof name === "string" ? brief(name) : name;
    throw config.unsupported("activation", [...activations.keys()].join(", "), got);
  }
  const byAxis = activation === activations.get("softmax") || activation === activations.get("log_softmax");
  const x = byAxis && typeof value.layout === "object" ? views.plain(value) : value;
  return { ...x, name: activation(context, x.name, storedAxis(x, x.shape.length - 1)) };
}

function gelu({ b }: LayerContext, x: string): string {
  const error = b.add("Erf", [b.add("Mul", [x, b.scalar(Math.SQRT1_2)])]);
  return b.add("Mul", [b.add("Mul", [x, b.scalar(0.5)]), b.add("Add", [error, b.scalar(1)])]);
}

function geluByTanh({ b }: LayerContext, x: string): string {
  const cube = b.add("Mul", [b.add("Mul", [b.add("Mul", [x, x]), x]), b.scalar(0.044715)]);
  const inner = b.add("Mul", [b.add("Add", [x, cube]), b.scalar(Math.sqrt(2 / Math.PI))]);
  return b.add("Mul", [b.add("Mul", [x, b.scalar(0.5)]), b.add("Add", [b.add("Tanh", [inner]), b.scalar(1)])]);
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
