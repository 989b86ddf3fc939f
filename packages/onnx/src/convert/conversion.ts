import { createBuilder } from "../builder.ts";
import { attribute, type Graph, type Node, type Tensor, type ValueInfo } from "../graph.ts";
import { brief, malformed, tooLarge, unsupported } from "../problem.ts";
import type { LayersModelArtifacts } from "./artifacts.ts";
import { createViews, type LayerContext } from "./context.ts";
import { anyType, layerConverters, severalInputs } from "./layer-converters.ts";
import { asItIs, keepsOrder, toOnnxOrder, type WeightLayout } from "./permute.ts";
import { type Call, type Layer, readTopology, type Topology } from "./topology.ts";
import { longest, showShape, type Value } from "./value.ts";
import { decodeWeight, readWeights, type StoredWeight } from "./weights.ts";

/** Where the values of an initializer come from. */
export interface Source {
  readonly weight: StoredWeight;
  readonly layout: WeightLayout;
}

/** A graph, and the weights behind its initializers. */
export interface Conversion {
  readonly graph: Graph;
  readonly sources: ReadonlyMap<string, Source>;
  /** All weights of the artifacts, in order. */
  readonly weights: readonly StoredWeight[];
  /** Initializers of layers that are not trained. */
  readonly frozen: readonly string[];
}

/** Applications of layers in one file: models that are shared by models that are shared grow fast. */
const mostCalls = 20_000;

/** Writes the graph of the artifacts. */
export function convert(artifacts: LayersModelArtifacts): Conversion {
  const topology = readTopology(artifacts.modelTopology);
  const weights = readWeights(artifacts);
  const taken = new Set([...weights.stored.map(({ spec }) => spec.name), ...topology.inputs.map(({ name }) => name)]);
  for (const { name } of topology.outputs) taken.add(name);
  const b = createBuilder(taken);
  const views = createViews(b);
  const initializers = new Map<string, Tensor>();
  const sources = new Map<string, Source>();
  const owners = new Map<StoredWeight, Layer>();
  /** Names of the layers behind the nodes. */
  const origins: string[] = [];
  let count = 0;

  const frozen = new Set<string>();

  const context = (layer: Layer, shared: boolean, still: boolean): LayerContext => {
    const find = (name: string): StoredWeight => {
      const weight = weights.find(`${layer.name}/${name}`);
      if (weight === undefined) throw malformed("weightSpecs", `a weight "${brief(layer.name)}/${name}"`, "none");
      const owner = owners.get(weight) ?? layer;
      owners.set(weight, owner);
      if (owner !== layer) throw malformed("layers", "no name twice where there are weights", brief(layer.name));
      return weight;
    };
    return {
      b,
      views,
      shared,
      config: layer.config,
      weightShape: (name) => find(name).spec.shape,
      weight(name, expected, layoutOf = asItIs) {
        const weight = find(name);
        const { shape } = weight.spec;
        const fits = shape.length === expected.length && shape.every((length, i) => length === (expected[i] ?? length));
        if (!fits)
          throw malformed(`shape of the weight "${brief(weight.spec.name)}"`, showShape(expected), showShape(shape));
        const layout = layoutOf(shape);
        const initializer = initializerName(weight.spec.name, layout);
        if (still) frozen.add(initializer);
        const other = sources.get(initializer);
        if (other === undefined) {
          const data = toOnnxOrder(decodeWeight(weight), layout);
          initializers.set(initializer, { dtype: "float32", shape: layout.shape, data });
          sources.set(initializer, { weight, layout });
        } else if (other.weight !== weight) {
          throw malformed("weightSpecs", "names that differ", brief(initializer));
        }
        return initializer;
      },
      fixed: (data) =>
        b.add("Constant", [], { value: attribute.tensor({ dtype: "float32", shape: [data.length], data }) }),
    };
  };

  const apply = (call: Call, inputs: readonly Value[], shared: boolean, still: boolean): Value => {
    const { layer } = call;
    const converter = layerConverters.get(layer.className);
    if (converter === undefined) {
      throw unsupported(`the layer "${brief(layer.name)}"`, "one that is converted", brief(layer.className));
    }
    if (!severalInputs.has(layer.className) && inputs.length !== 1) {
      throw layer.config.malformed("inputs", "one", inputs.length);
    }
    const values = anyType.has(layer.className) ? inputs : inputs.map((value) => views.float(value));
    const value = converter(context(layer, shared, still || isStill(layer)), values);
    while (origins.length < b.nodes.length) origins.push(layer.name);
    if (value.shape.some((length) => length !== undefined && length > longest)) {
      throw tooLarge(`output of ${layer.config.title}`, `axes of ${longest} at most`, showShape(value.shape));
    }
    return value;
  };

  const run = (model: Topology, inputs: readonly Value[], shared: boolean, still: boolean): readonly Value[] => {
    const known = new Map<string, readonly Value[]>(model.inputs.map(({ key }, i) => [key, [inputs[i]!]]));
    const lookup = ({ key, index }: { key: string; index: number }): Value => {
      const value = known.get(key)?.[index];
      if (value === undefined) throw malformed("the model's graph", `something that gives "${brief(key)}"`, "nothing");
      return value;
    };
    const uses = new Map<Layer, number>();
    for (const { layer } of model.calls) uses.set(layer, (uses.get(layer) ?? 0) + 1);
    for (const call of model.calls) {
      if (++count > mostCalls) throw tooLarge("layers of the model", `${mostCalls} at most`, "more");
      const values = call.inputs.map(lookup);
      const { layer } = call;
      const again = shared || uses.get(layer)! > 1;
      if (layer.model !== undefined && layer.model.inputs.length !== values.length) {
        throw layer.config.malformed("inputs", `${layer.model.inputs.length}`, values.length);
      }
      const inner = layer.model;
      known.set(
        call.key,
        inner ? run(inner, values, again, still || isStill(layer)) : [apply(call, values, again, still)],
      );
    }
    return model.outputs.map(({ from }) => lookup(from));
  };

  const inputs = topology.inputs.map((input): Value => {
    const dtype = input.dtype === "int32" || onlyEmbedded(topology, input.key) ? "int32" : "float32";
    return { name: input.name, dtype, shape: input.shape, layout: "plain" };
  });
  const outputs = run(topology, inputs, false, false).map((value) => views.plain(value));
  while (origins.length < b.nodes.length) origins.push("output");
  // Outputs are called after their layers.
  const renamed = new Map<string, string>();
  const results = outputs.map((value, i): Value => {
    const wanted = topology.outputs[i]!.name;
    const used = renamed.has(value.name) || topology.inputs.some(({ name }) => name === value.name);
    const source = used ? b.add("Identity", [renamed.get(value.name) ?? value.name]) : value.name;
    while (origins.length < b.nodes.length) origins.push(wanted);
    const names = new Set([...topology.inputs.map(({ name }) => name), ...renamed.values(), ...sources.keys()]);
    let name = wanted;
    for (let n = 1; names.has(name) || name === ""; n++) name = `${wanted}_output_${n}`;
    renamed.set(source, name);
    return { ...value, name };
  });
  const rename = (name: string) => renamed.get(name) ?? name;
  const nodes = b.nodes.map((node, i) => ({
    ...node,
    name: `${origins[i]}/${node.name}`,
    inputs: node.inputs.map(rename),
    outputs: node.outputs.map(rename),
  }));
  const constants = new Map<string, Tensor>([...initializers, ...b.initializers]);
  const graph = { name: "layers-model", inputs: inputs.map(info), outputs: results.map(info) };
  const pruned = prune({ ...graph, nodes, initializers: constants });
  return { graph: pruned, sources, weights: weights.stored, frozen: [...frozen] };
}

const isStill = ({ config }: Layer): boolean => !config.flag("trainable", true);

function info({ name, dtype, shape }: Value): ValueInfo {
  return { name, dtype, shape: ["batch", ...shape.slice(1)] };
}

/** The weight's name, and how it was laid out where that is not as in tfjs: `conv2d/kernel#3x3x1x32:3,2,0,1`. */
function initializerName(name: string, layout: WeightLayout): string {
  return keepsOrder(layout) ? name : `${name}#${layout.view.join("x")}:${layout.permutation.join(",")}`;
}

/** True where an input goes into embeddings only: then it is numbers of words, whatever tfjs calls its type. */
function onlyEmbedded({ calls, outputs }: Topology, key: string): boolean {
  const users = calls.filter(({ inputs }) => inputs.some((input) => input.key === key));
  const inner = new Map<Topology, Set<string>>();
  for (const { layer, inputs } of users) {
    if (layer.model === undefined) {
      if (layer.className !== "Embedding") return false;
      continue;
    }
    const keys = inner.get(layer.model) ?? new Set();
    inputs.forEach((input, i) => {
      if (input.key === key) keys.add(layer.model!.inputs[i]?.key ?? "");
    });
    inner.set(layer.model, keys);
  }
  const embedded = [...inner].every(([model, keys]) => [...keys].every((name) => onlyEmbedded(model, name)));
  return users.length > 0 && embedded && !outputs.some(({ from }) => from.key === key);
}

/** Without what no output needs. */
function prune(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    nodes.push(node);
    for (const name of node.inputs) needed.add(name);
  }
  const initializers = new Map([...graph.initializers].filter(([name]) => needed.has(name)));
  return { ...graph, nodes: nodes.reverse(), initializers };
}
