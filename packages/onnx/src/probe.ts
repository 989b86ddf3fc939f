import { expected, ParapetError } from "@parapet/core";
import type { Dim, ValueType } from "./derivative.ts";
import type { ElementType, Model, Tensor, TensorData } from "./graph.ts";
import { trialRun } from "./limits.ts";
import type { OnnxErrorCode } from "./problem.ts";
import type { OnnxRuntime, RuntimeTensor } from "./runtime.ts";

/** What a trial run tells about a graph. */
export interface Probe {
  readonly types: ReadonlyMap<string, ValueType>;
  /** Values that follow from initializers alone. */
  readonly constants: ReadonlyMap<string, Tensor>;
  /** What the trial run gave for the value that was asked for. */
  readonly answer: RuntimeTensor | undefined;
}

/**
 * Learns the dtype and shape of every value by running the graph on two batch sizes: no shape function to write for any
 * operator, and shapes that the graph computes for itself are known like all others.
 *
 * @param feeds - the inputs for a batch of n
 * @param answer - a value whose data are wanted
 * @param batches - two sizes, or one where the file fixes it
 * @throws ParapetError "onnx/runtime" when onnxruntime cannot run the graph
 */
export async function probe(
  runtime: OnnxRuntime,
  model: Model,
  feeds: (n: number) => Readonly<Record<string, RuntimeTensor>>,
  answer: string,
  batches: readonly [number] | readonly [number, number],
): Promise<Probe> {
  const { graph } = model;
  const runs: Readonly<Record<string, RuntimeTensor>>[] = [];
  for (const n of batches) runs.push(await trialRun(runtime, model, feeds(n)));
  const types = new Map<string, ValueType>();
  const constants = new Map(graph.initializers);
  for (const [name, { dtype, shape }] of graph.initializers) types.set(name, { dtype, shape });
  for (const [name, tensor] of Object.entries(runs[0]!)) {
    const dims = runs.map((run) => run[name]!.dims);
    if (dims.some((shape) => shape.length !== tensor.dims.length)) {
      throw new ParapetError<OnnxErrorCode>(
        "onnx/unsupported-model",
        expected(
          `rank of "${name}"`,
          "one for every batch size",
          dims.map((shape) => shape.length),
        ),
      );
    }
    const shape = tensor.dims.map((first, axis) => dim(first, dims[1]?.[axis], batches));
    types.set(name, { dtype: tensor.type as ElementType, shape });
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.filter((name) => name !== "");
    const random = node.op.startsWith("Random") || node.op === "Bernoulli" || node.op === "Multinomial";
    if (random || !inputs.every((name) => constants.has(name))) continue;
    for (const name of node.outputs) {
      const found = runs[0]![name];
      if (found === undefined) continue;
      const dtype = found.type as ElementType;
      constants.set(name, { dtype, shape: [...found.dims], data: found.data as TensorData[ElementType] });
    }
  }
  return { types, constants, answer: runs[0]![answer] };
}

function dim(first: number, second: number | undefined, batches: readonly number[]): Dim {
  if (second === undefined || first === second) return first;
  const scale = (second - first) / (batches[1]! - batches[0]!);
  return { scale, offset: first - scale * batches[0]! };
}
