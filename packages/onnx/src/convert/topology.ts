import { brief, malformed, unsupported } from "../problem.ts";
import { asList, asObject, asText, type Config, readConfig } from "./config.ts";
import { type Length, longest } from "./value.ts";

/** A layer, or a model used as one. */
export interface Layer {
  readonly name: string;
  readonly className: string;
  readonly config: Config;
  readonly model: Topology | undefined;
}

/** One application of a layer: `key` stands for what it gives. */
export interface Call {
  readonly layer: Layer;
  readonly key: string;
  readonly inputs: readonly Output[];
}

/** One of the tensors that a call gives. */
export interface Output {
  readonly key: string;
  readonly index: number;
}

/** What a model takes. */
export interface Input {
  readonly name: string;
  readonly key: string;
  readonly shape: readonly Length[];
  readonly dtype: "float32" | "int32";
}

/** A model, sequential or functional alike. */
export interface Topology {
  readonly inputs: readonly Input[];
  /** In an order in which they can run. */
  readonly calls: readonly Call[];
  readonly outputs: readonly { readonly name: string; readonly from: Output }[];
}

const deepest = 32;

/** Reads `modelTopology`. */
export function readTopology(json: unknown): Topology {
  const root = asObject("modelTopology", json);
  const config = root.model_config ?? root;
  return readModel(asObject("model_config", config), 0);
}

function isModel(className: string): boolean {
  return className === "Sequential" || className === "Model" || className === "Functional";
}

function readModel(json: Readonly<Record<string, unknown>>, depth: number): Topology {
  if (depth > deepest) throw unsupported("modelTopology", `models nested ${deepest} deep at most`, "deeper ones");
  const className = asText("class_name of the model", json.class_name ?? json.className);
  if (className === "Sequential") return readSequential(json.config, depth);
  if (isModel(className)) return readFunctional(asObject("config of the model", json.config), depth);
  throw unsupported("class_name of the model", "Sequential, Model or Functional", brief(className));
}

function readLayer(json: unknown, depth: number): Layer {
  const raw = asObject("an entry of the layers", json);
  const className = asText("class_name of a layer", raw.class_name ?? raw.className);
  const model = isModel(className) ? readModel(raw, depth + 1) : undefined;
  // A Sequential of old is a list of layers only.
  const config = Array.isArray(raw.config) ? {} : asObject(`config of a ${brief(className)}`, raw.config);
  const name = asText(`name of a ${brief(className)}`, raw.name ?? config.name ?? "");
  return { name, className, config: readConfig(`${brief(className)} "${brief(name)}"`, config), model };
}

function readInput({ name, config }: Layer): Input {
  const shape = config.get("batchInputShape") ?? config.get("batchShape");
  if (!Array.isArray(shape) || shape.length === 0) {
    throw config.malformed("batch_input_shape", "a list of lengths or null", shape);
  }
  const lengths = shape.map((length: unknown) => {
    if (length === null || length === -1) return undefined;
    if (!Number.isInteger(length) || (length as number) < 1 || (length as number) > longest) {
      throw config.malformed("batch_input_shape", "whole numbers > 0 or null", shape);
    }
    return length as number;
  });
  const dtype = config.choice("dtype", ["float32", "int32"], "float32");
  return { name, key: `${name}:0`, shape: [undefined, ...lengths.slice(1)], dtype };
}

function readSequential(json: unknown, depth: number): Topology {
  const entries = Array.isArray(json) ? json : asObject("config of a Sequential", json).layers;
  const layers = asList("layers of a Sequential", entries).map((entry) => readLayer(entry, depth));
  const [start, ...others] = layers;
  if (start === undefined) throw malformed("layers of a Sequential", "at least one layer", []);
  const explicit = start.className === "InputLayer";
  const nested = start.model?.inputs[0];
  const input = nested ?? readInput(explicit ? start : { ...start, name: `${start.name}_input` });
  let from: Output = { key: input.key, index: 0 };
  const calls = (explicit ? others : layers).map((layer, i): Call => {
    const call = { layer, key: `${i}`, inputs: [from] };
    if (layer.model !== undefined && (layer.model.inputs.length !== 1 || layer.model.outputs.length !== 1)) {
      throw layer.config.malformed("config", "one input and one output inside a Sequential", layer.model.inputs.length);
    }
    from = { key: call.key, index: 0 };
    return call;
  });
  return { inputs: [input], calls, outputs: [{ name: layers.at(-1)!.name, from }] };
}

function readFunctional(json: Readonly<Record<string, unknown>>, depth: number): Topology {
  const layers = new Map<string, Layer>();
  const calls: Call[] = [];
  const resolve = (entry: unknown): Output => {
    const [name, node, index = 0] = asList("a reference to a layer", entry);
    const target = asText("a reference to a layer", name);
    for (const number of [node, index]) {
      if (!Number.isSafeInteger(number)) throw malformed(`a reference to "${brief(target)}"`, "whole numbers", number);
    }
    return { key: `${target}:${node}`, index: index as number };
  };
  for (const entry of asList("layers of a model", json.layers)) {
    const layer = readLayer(entry, depth);
    if (layers.has(layer.name)) throw malformed("layers of a model", "no name twice", brief(layer.name));
    layers.set(layer.name, layer);
    const raw = entry as Readonly<Record<string, unknown>>;
    const nodes = asList(`inbound_nodes of ${layer.config.title}`, raw.inbound_nodes ?? raw.inboundNodes);
    nodes.forEach((node, i) => {
      const references = asList(`inbound_nodes of ${layer.config.title}`, node);
      // A model has a node of its own before the first call.
      const key = `${layer.name}:${layer.model === undefined ? i : i + 1}`;
      calls.push({ layer, key, inputs: references.map((reference) => callInput(layer, reference, resolve)) });
    });
  }
  const list = (what: string) => {
    const entries = asList(what, json[what] ?? json[what.replace("_l", "L")]);
    return (typeof entries[0] === "string" ? [entries] : entries).map(resolve);
  };
  const inputs = list("input_layers").map(({ key }) => {
    const layer = layers.get(key.slice(0, key.lastIndexOf(":")));
    if (layer?.className !== "InputLayer") throw malformed("input_layers", "names of input layers", brief(key));
    return { ...readInput(layer), key };
  });
  const outputs = list("output_layers").map((from) => ({ name: from.key.slice(0, from.key.lastIndexOf(":")), from }));
  if (outputs.length === 0) throw malformed("output_layers", "at least one layer", []);
  return { inputs, calls: inOrder(calls, inputs), outputs };
}

function callInput(layer: Layer, reference: unknown, resolve: (entry: unknown) => Output): Output {
  const settings = Array.isArray(reference) ? (reference[3] ?? {}) : {};
  const { training, mask } = asObject(`arguments of ${layer.config.title}`, settings);
  if (training === true)
    throw layer.config.unsupported("training", "false: the model is converted for inference", true);
  if (mask !== undefined && mask !== null) throw layer.config.unsupported("mask", "none", mask);
  return resolve(reference);
}

/** Calls in an order in which they can run; those that never can are left out. */
function inOrder(calls: readonly Call[], inputs: readonly Input[]): readonly Call[] {
  const waiting = new Map<string, Call[]>();
  const missing = new Map<Call, number>();
  for (const call of calls) {
    const keys = new Set(call.inputs.map(({ key }) => key));
    missing.set(call, keys.size);
    for (const key of keys) {
      const others = waiting.get(key);
      if (others === undefined) waiting.set(key, [call]);
      else others.push(call);
    }
  }
  const ordered: Call[] = [];
  const ready = inputs.map(({ key }) => key);
  for (const key of ready) {
    const dependents = waiting.get(key) ?? [];
    waiting.delete(key);
    for (const call of dependents) {
      const left = missing.get(call)! - 1;
      missing.set(call, left);
      if (left > 0) continue;
      ordered.push(call);
      ready.push(call.key);
    }
  }
  return ordered;
}
