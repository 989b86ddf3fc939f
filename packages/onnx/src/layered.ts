import { checkLossRows, expected, type Layered, type NdArray } from "@parapet/core";
import { createBuilder } from "./builder.ts";
import { firstRows, toArray } from "./classifier.ts";
import type { Dim, ValueType } from "./derivative.ts";
import { atLeastTwo, type Call, type Engine, type Source } from "./engine.ts";
import { attribute } from "./graph.ts";
import type { OnnxClassifier } from "./onnx-classifier.ts";

/** Layers by name, as the file names the outputs of its nodes. `derive` opens a model on the same weights. */
export function layered(engine: Engine, derive: (source: Source) => OnnxClassifier): Layered<OnnxClassifier> {
  const { source, state, queue } = engine;
  const shapes = layersOf(source);
  /** Names of the gradients in the graphs that give them. */
  const gradients = new Map<string, string>();

  const shapeOf = (name: string): readonly number[] => {
    const shape = shapes.get(name);
    if (shape === undefined) throw new TypeError(expected("name", `one of ${[...shapes.keys()].join(", ")}`, name));
    return shape;
  };
  const exactly = (call: Call): Call => {
    const { variant } = call;
    return { ...call, variant: { ...variant, key: `${variant.key}, as written`, asWritten: true } };
  };

  return {
    layers: [...shapes].map(([name, shape]) => ({ name, shape })),

    async activations(x, names, options = {}) {
      const wanted = names.map(shapeOf);
      const call = exactly(engine.call(x, options));
      const n = call.x.shape[0]!;
      return queue(async () => {
        const rows = atLeastTwo(source, call);
        const program = await engine.program(`activations ${names.join()}`, call.variant, () => ({
          outputs: [...new Set(names)],
        }));
        const run = await program.run(engine.feeds(rows, state.tensors));
        return names.map((name, i) => firstRows(copyOf(run[name]!.data, [rows.x.shape[0]!, ...wanted[i]!]), n));
      }, options.signal);
    },

    async gradientAt(x, loss, name, options = {}) {
      const shape = shapeOf(name);
      const call = exactly(engine.call(x, options));
      checkLossRows(call.x, loss);
      const n = call.x.shape[0]!;
      return queue(async () => {
        const rows = atLeastTwo(source, call);
        const same = rows === call ? loss : loss.take(Int32Array.of(0, 0));
        const { kind, feeds } = await engine.lossFeeds(rows, same, state.tensors);
        const key = `gradient at ${name} ${kind}`;
        const program = await engine.program(key, call.variant, (b) => {
          const found = engine.gradientNodes(b, call.variant, kind, [name]);
          const gradient = b.add("Identity", [found.names[0]!]);
          gradients.set(`${key} ${call.variant.key}`, gradient);
          return { outputs: [...new Set([source.logits, name, gradient])], inputs: found.inputs };
        });
        const run = await program.run(feeds);
        const full = [rows.x.shape[0]!, ...shape];
        // Read before the logits: a layer may be the logits, and these are rewritten where they are probabilities.
        const activation = firstRows(copyOf(run[name]!.data, full), n);
        const gradient = firstRows(toArray(run[gradients.get(`${key} ${call.variant.key}`)!]!, full), n);
        return { logits: firstRows(engine.toLogits(run[source.logits]!), n), activation, gradient };
      }, options.signal);
    },

    tapped(names) {
      const model = derive(tappedSource(source, names, names.map(shapeOf)));
      engine.onRelease(() => model.release());
      return model;
    },
  };
}

const copyOf = (data: unknown, shape: readonly number[]): NdArray => ({
  dtype: "float32",
  shape,
  data: (data as Float32Array).slice(),
});

/** Float values of one row for each example, on the way from the input to the logits. */
function layersOf({ model, probe, input, logits }: Source): Map<string, readonly number[]> {
  const { nodes } = model.graph;
  const behind = new Set([logits]);
  for (let i = nodes.length - 1; i >= 0; i--) {
    const { inputs, outputs } = nodes[i]!;
    if (outputs.some((name) => behind.has(name))) for (const name of inputs) behind.add(name);
  }
  const reached = new Set([input]);
  const layers = new Map<string, readonly number[]>();
  for (const { inputs, outputs } of nodes) {
    if (!inputs.some((name) => reached.has(name))) continue;
    for (const name of outputs) {
      if (name === input) continue;
      reached.add(name);
      const type = probe.types.get(name);
      if (behind.has(name) && type?.dtype === "float32" && isRow(type))
        layers.set(name, type.shape.slice(1).map(Number));
    }
  }
  return layers;
}

const isRow = ({ shape: [first, ...rest] }: ValueType): boolean =>
  isBatch(first) && rest.every((length) => typeof length === "number");

const isBatch = (dim: Dim | undefined): boolean =>
  typeof dim === "object" ? dim.scale === 1 && dim.offset === 0 : dim === 1;

/** The model with layers beside its logits. */
function tappedSource(source: Source, names: readonly string[], shapes: readonly (readonly number[])[]): Source {
  const { model, probe, logits, outputSize } = source;
  const { graph } = model;
  const taken = [...graph.initializers.keys(), ...graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs])];
  const b = createBuilder(taken);
  const types = new Map(probe.types);
  const batch = probe.types.get(logits)!.shape[0]!;
  const note = (name: string, width: number): string => {
    types.set(name, { dtype: "float32", shape: [batch, width] });
    return name;
  };
  const scores = (): string[] => {
    if (source.probabilities) {
      const floor = b.scalar(1e-38);
      types.set(floor, { dtype: "float32", shape: [] });
      return [note(b.add("Log", [note(b.add("Max", [logits, floor]), outputSize)]), outputSize)];
    }
    return outputSize > 1 ? [logits] : [note(b.add("Sub", [logits, logits]), 1), logits];
  };
  const flat = names.map((name, i) => {
    const width = shapes[i]!.reduce((product, length) => product * length, 1);
    return note(b.add("Flatten", [name], { axis: attribute.int(1) }), width);
  });
  const parts = [...scores(), ...flat];
  const width = parts.reduce((sum, name) => sum + (types.get(name)!.shape[1] as number), 0);
  const all = note(b.add("Concat", parts, { axis: attribute.int(1) }), width);
  const initializers = new Map([...graph.initializers, ...b.initializers]);
  return {
    ...source,
    model: { ...model, graph: { ...graph, nodes: [...graph.nodes, ...b.nodes], initializers } },
    probe: { ...probe, types },
    logits: all,
    outputSize: width,
    probabilities: false,
  };
}
