import { checkLossRows, expected, type Loss, type NdArray, type TwiceDifferentiable } from "@parapet/core";
import { createBuilder } from "./builder.ts";
import { toArray } from "./classifier.ts";
import { derivatives, undifferentiated } from "./derivatives/index.ts";
import { differentiate } from "./differentiate.ts";
import { type Call, constantsOf, type Engine } from "./engine.ts";
import type { Graph } from "./graph.ts";
import { type LossKind, lossInput } from "./loss-nodes.ts";
import { namesOf, type Variant } from "./modes.ts";
import { type Probe, probe } from "./probe.ts";
import { pruned, type RuntimeTensor, untyped, value } from "./runtime.ts";

const direction = "parapet_direction";

/** The graph of an input gradient, with what a trial run tells about it. */
interface GradientGraph {
  readonly variant: Variant;
  readonly graph: Graph;
  readonly found: Probe;
  readonly gradient: string;
  readonly inputs: Graph["inputs"];
}

/** Second derivatives: the gradient's graph is a graph, and is differentiated once more. */
export function twiceDifferentiable(engine: Engine, weights: readonly string[]): TwiceDifferentiable {
  const { source, state, queue } = engine;
  const { runtime, model, input } = source;
  const graphs = new Map<string, Promise<GradientGraph>>();

  const write = async (kind: LossKind, before: Variant): Promise<GradientGraph> => {
    const exact = { ...before, asWritten: true };
    const b = createBuilder([...engine.taken, ...namesOf(before)]);
    for (const node of before.nodes) b.copy(node);
    const { names, inputs } = engine.gradientNodes(b, exact, kind, [input]);
    const gradient = b.add("Identity", [names[0]!]);
    const masks = before.masks.map(({ name }) => value(name));
    const graph = pruned({
      ...model.graph,
      nodes: b.nodes,
      inputs: [...engine.inputs, ...masks, ...inputs],
      outputs: [untyped(gradient)],
      initializers: new Map([...model.graph.initializers, ...before.initializers, ...b.initializers]),
    });
    const trial = (n: number): Record<string, RuntimeTensor> => ({
      ...source.trial(n),
      ...Object.fromEntries(before.masks.map(({ name, shape }) => [name, filled([n, ...shape])])),
      ...(kind === "linear"
        ? { [lossInput.linear]: filled([n, source.outputSize]) }
        : { [lossInput.labels]: new runtime.Tensor("int64", new BigInt64Array(n), [n]) }),
    });
    const found = await probe(runtime, { ...model, graph }, trial, gradient, source.batches);
    const variant = { ...exact, key: `${before.key}, gradient ${kind}`, nodes: graph.nodes, types: found.types };
    return { variant: { ...variant, initializers: graph.initializers }, graph, found, gradient, inputs };
  };
  const filled = (shape: readonly number[]) =>
    engine.tensor(new Float32Array(shape.reduce((size, length) => size * length, 1)).fill(1), shape);

  const outputs = new Map<string, readonly string[]>();
  const planned = async (kind: LossKind, { variant: before }: Call) => {
    const key = `${kind} ${before.key}`;
    let written = graphs.get(key);
    if (written === undefined) {
      written = write(kind, before);
      graphs.set(key, written);
      written.catch(() => graphs.delete(key));
    }
    const { variant, graph, found, gradient, inputs } = await written;
    const program = await engine.program("hessian product", variant, (b) => {
      const constants = constantsOf(graph, found, engine.stateless(graph.initializers));
      const opset = model.opsets.get("") ?? 1;
      const known = { graph, opset, types: found.types, constants, derivatives, undifferentiated };
      const wrt = [input, ...weights];
      const results = differentiate(known, b, new Map([[gradient, direction]]), wrt);
      // Where the gradient does not depend on something, the second derivative is zero.
      const names = results.map((name, i) => b.add("Identity", [name ?? b.add("Sub", [wrt[i]!, wrt[i]!])]));
      outputs.set(key, names);
      return { outputs: names, inputs: [...inputs, value(direction)] };
    });
    return { program, names: outputs.get(key)! };
  };

  return {
    async hessianProduct(x, loss, along, options = {}) {
      const call = engine.call(x, options);
      checkLossRows(call.x, loss);
      checkForm(loss, source.probabilities);
      checkShape(along, call.x.shape);
      const fed = engine.tensor(along.data.slice(), along.shape);
      return queue(async () => {
        const { kind, feeds } = await engine.lossFeeds(call, loss, state.tensors);
        const { program, names } = await planned(kind, call);
        const run = await program.run({ ...feeds, [direction]: fed });
        const arrays = names.map((name) => toArray(run[name]!, run[name]!.dims));
        return { input: arrays[0]!, parameters: new Map(weights.map((name, i) => [name, arrays[i + 1]!])) };
      }, options.signal);
    },
  };
}

/** A loss whose cotangent is not part of the graph has a second derivative that the graph does not know. */
function checkForm({ form }: Loss, probabilities: boolean): void {
  if (form === undefined) throw new TypeError(expected("loss", "one with a form, such as crossEntropy()", "none"));
  if (probabilities) throw new TypeError(expected("model", "one with logits", "probabilities that are computed"));
}

function checkShape({ dtype, shape }: NdArray, wanted: readonly number[]): void {
  if (dtype === "float32" && shape.join() === wanted.join()) return;
  throw new TypeError(expected("direction", `float32 [${wanted}]`, `${dtype} [${shape}]`));
}
