import {
  checkLossRows,
  checkNumber,
  expected,
  type Loss,
  type NdArray,
  type Parameters,
  type Snapshot,
  type StepOptions,
  type StepResult,
  type TrainableClassifier,
} from "@parapet/core";
import type { Builder } from "./builder.ts";
import { differentiable, toArray } from "./classifier.ts";
import type { Call, Engine } from "./engine.ts";
import type { ValueInfo } from "./graph.ts";
import type { LossKind } from "./loss-nodes.ts";
import { asExported, type Variant } from "./modes.ts";
import type { Releasable } from "./onnx-classifier.ts";
import { descend, type Optimizer } from "./optimizers.ts";
import { type Program, type RuntimeTensor, value } from "./runtime.ts";

const scale = "parapet_scale";
const unscale = "parapet_unscale";

/** A graph, and what it gives, by name: the outputs' own names are the builder's. */
interface Planned {
  readonly program: Program;
  /** New weights, optimizer state and running statistics, or gradients of the weights. */
  readonly results: ReadonlyMap<string, string>;
  readonly input: string | undefined;
}

/** What is written for one. */
interface Written extends Omit<Planned, "program"> {
  readonly outputs: readonly string[];
  readonly inputs: readonly ValueInfo[];
  readonly checked?: boolean;
}

/**
 * A model that learns: a step is one run of one graph, which holds gradients and update. Weights, running statistics and
 * the optimizer's state are its inputs and outputs.
 *
 * @param weights - names of the initializers that are trained
 * @param buffers - names of the running statistics
 */
export function trainable(
  engine: Engine,
  optimizer: Optimizer,
  weights: readonly string[],
  buffers: readonly string[],
): TrainableClassifier & Releasable {
  const { source, queue, state: model } = engine;
  const { input, logits: logitsName } = source;
  const shapes = new Map(weights.map((name) => [name, model.tensors[name]!.dims]));
  const bufferShapes = new Map(buffers.map((name) => [name, model.tensors[name]!.dims]));
  const partsOf = (name: string) => optimizer.state.map((part) => `${name}/${part}`);
  const stateShapes = new Map(
    weights.flatMap((name) => partsOf(name).map((part) => [part, shapes.get(name)!] as const)),
  );
  let state: Readonly<Record<string, RuntimeTensor>> = Object.fromEntries(
    [...stateShapes].map(([name, shape]) => [name, engine.tensor(zeros(shape), shape)]),
  );
  let steps = 0;
  const scalar = (number: number) => engine.tensor(Float32Array.of(number), []);
  const stateInputs = [...stateShapes].map(([name, shape]) => value(name, "float32", shape));
  const scalarInputs = (names: readonly string[]) => names.map((name) => value(name, "float32", []));
  const scalarNames = Object.fromEntries(
    Object.keys(optimizer.scalars(1, 1)).map((name) => [name, `parapet_optimizer_${name}`]),
  );
  const scalarFeeds = (rate: number) => {
    const numbers = Object.entries(optimizer.scalars(rate, steps + 1));
    return Object.fromEntries(numbers.map(([name, number]) => [scalarNames[name]!, scalar(number)]));
  };
  const plans = new Map<string, Omit<Planned, "program">>();

  const planned = async (key: string, variant: Variant, write: (b: Builder) => Written): Promise<Planned> => {
    const name = `${key} ${variant.key}`;
    const program = await engine.program(key, variant, (b) => {
      const { results, input: inputGradient, ...rest } = write(b);
      plans.set(name, { results, input: inputGradient });
      const extra = inputGradient === undefined ? [] : [inputGradient];
      return { ...rest, outputs: [...rest.outputs, ...results.values(), ...extra] };
    });
    return { program, ...plans.get(name)! };
  };

  /** Writes the update of every weight. */
  const updates = (b: Builder, gradientOf: (i: number) => string): Map<string, string> => {
    const results = new Map<string, string>();
    weights.forEach((name, i) => {
      const updated = optimizer.update(b, {
        weight: name,
        gradient: gradientOf(i),
        state: partsOf(name),
        scalars: scalarNames,
      });
      results.set(name, updated.weight);
      partsOf(name).forEach((part, j) => {
        results.set(part, updated.state[j]!);
      });
    });
    return results;
  };

  const stepPlan = (kind: LossKind, withInput: boolean, variant: Variant) =>
    planned(`step ${kind} ${withInput}`, variant, (b) => {
      const wrt = withInput ? [...weights, input] : weights;
      const found = engine.gradientNodes(b, variant, kind, wrt, scale);
      // Plain descent has its rate in the scale, unless the input's gradient is wanted, too: no pass over the weights.
      const results =
        optimizer.isPlain && !withInput
          ? new Map(weights.map((name, i) => [name, descend(b, name, found.names[i]!)]))
          : updates(b, (i) => found.names[i]!);
      for (const [name, moved] of variant.moved) if (bufferShapes.has(name)) results.set(name, moved);
      const inputs = [
        ...found.inputs,
        ...scalarInputs([scale, unscale, ...Object.values(scalarNames)]),
        ...stateInputs,
      ];
      const inputGradient = withInput ? b.add("Mul", [found.names[weights.length]!, unscale]) : undefined;
      return { outputs: [logitsName], results, input: inputGradient, inputs };
    });

  const gradientPlan = (kind: LossKind, variant: Variant) =>
    planned(`parameter gradients ${kind}`, variant, (b) => {
      const found = engine.gradientNodes(b, variant, kind, [...weights, input], scale);
      const results = new Map(weights.map((name, i) => [name, b.add("Identity", [found.names[i]!])]));
      const inputGradient = b.add("Mul", [found.names[weights.length]!, unscale]);
      const inputs = [...found.inputs, ...scalarInputs([scale, unscale])];
      return { outputs: [logitsName], results, input: inputGradient, inputs, checked: true };
    });

  const ready = (x: NdArray, loss: Loss, options: StepOptions): Call => {
    const { mode = "training", learningRate, parts = "joint" } = options;
    if (parts !== "joint" && parts !== "separate")
      throw new TypeError(expected("parts", '"joint" or "separate"', parts));
    const call = engine.call(x, { ...options, mode }, parts === "separate" ? loss.parts : 1);
    checkLossRows(call.x, loss);
    if (learningRate !== undefined) checkNumber("learningRate", learningRate, { min: 0 });
    return call;
  };

  /** Takes over what a run gives. */
  const take = (run: Readonly<Record<string, RuntimeTensor>>, results: ReadonlyMap<string, string>): void => {
    const found = (name: string) => run[results.get(name)!]!;
    const moved = [...weights, ...buffers].filter((name) => results.has(name));
    model.tensors = { ...model.tensors, ...Object.fromEntries(moved.map((name) => [name, found(name)])) };
    state = Object.fromEntries([...stateShapes.keys()].map((name) => [name, found(name)]));
    steps++;
  };

  return {
    ...differentiable(engine),

    async step(x, loss, options = {}): Promise<StepResult> {
      const call = ready(x, loss, options);
      return queue(async () => {
        const withInput = options.inputGradient === true;
        const rate = options.learningRate ?? optimizer.learningRate;
        const { kind, feeds } = await engine.lossFeeds(call, loss, model.tensors);
        const { program, results, input: inputGradient } = await stepPlan(kind, withInput, call.variant);
        const run = await program.run({
          ...feeds,
          ...state,
          ...scalarFeeds(rate),
          [scale]: scalar((optimizer.isPlain && !withInput ? rate : 1) / loss.count),
          [unscale]: scalar(loss.count),
        });
        const logits = engine.toLogits(run[logitsName]!);
        const result = { value: loss.value(logits), logits };
        take(run, results);
        if (inputGradient === undefined) return result;
        return { ...result, inputGradient: toArray(run[inputGradient]!, call.x.shape) };
      }, options.signal);
    },

    async parameterGradients(x, loss, options = {}) {
      const call = ready(x, loss, options);
      return queue(async () => {
        const { kind, feeds } = await engine.lossFeeds(call, loss, model.tensors);
        const { program, results, input: inputGradient } = await gradientPlan(kind, call.variant);
        const run = await program.run({ ...feeds, [scale]: scalar(1 / loss.count), [unscale]: scalar(loss.count) });
        const logits = engine.toLogits(run[logitsName]!);
        return {
          value: loss.value(logits),
          logits,
          gradients: new Map(weights.map((name) => [name, toArray(run[results.get(name)!]!, shapes.get(name)!)])),
          ...(options.inputGradient ? { inputGradient: toArray(run[inputGradient!]!, call.x.shape) } : {}),
        };
      }, options.signal);
    },

    async apply(gradients, { learningRate } = {}) {
      if (learningRate !== undefined) checkNumber("learningRate", learningRate, { min: 0 });
      check("gradients", gradients, shapes);
      const missing = weights.filter((name) => !gradients.has(name));
      if (missing.length > 0) throw new TypeError(expected("gradients", `an array for ${missing.join(", ")}`, "none"));
      const gradientName = (name: string) => `${name}/parapet_gradient`;
      return queue(async () => {
        const { program, results } = await planned("apply", asExported([]), (b) => ({
          outputs: [],
          results: updates(b, (i) => gradientName(weights[i]!)),
          input: undefined,
          inputs: [
            ...weights.map((name) => value(gradientName(name), "float32", shapes.get(name)!)),
            ...stateInputs,
            ...scalarInputs(Object.values(scalarNames)),
          ],
        }));
        const fed = [...gradients].map(([name, { data, shape }]) => [
          gradientName(name),
          engine.tensor(data.slice(), shape),
        ]);
        const run = await program.run({
          ...model.tensors,
          ...state,
          ...Object.fromEntries(fed),
          ...scalarFeeds(learningRate ?? optimizer.learningRate),
        });
        take(run, results);
      });
    },

    async snapshot(options = {}): Promise<Snapshot> {
      return queue(async () => {
        const copies = (names: Iterable<string>, from: Readonly<Record<string, RuntimeTensor>>): Map<string, NdArray> =>
          new Map([...names].map((name) => [name, copy(from[name]!)]));
        const remembered = copies(stateShapes.keys(), state);
        remembered.set("steps", { dtype: "float32", shape: [], data: Float32Array.of(steps) });
        return {
          weights: copies(weights, model.tensors),
          buffers: copies(buffers, model.tensors),
          ...(options.optimizer ? { optimizer: remembered } : {}),
        };
      });
    },

    async restore(snapshot) {
      check("snapshot.weights", snapshot.weights, shapes);
      check("snapshot.buffers", snapshot.buffers, bufferShapes);
      if (snapshot.optimizer !== undefined)
        check("snapshot.optimizer", snapshot.optimizer, new Map([...stateShapes, ["steps", []]]));
      return queue(async () => {
        const tensors = (arrays: Parameters) =>
          Object.fromEntries([...arrays].map(([name, { data, shape }]) => [name, engine.tensor(data.slice(), shape)]));
        model.tensors = { ...model.tensors, ...tensors(snapshot.weights), ...tensors(snapshot.buffers) };
        if (snapshot.optimizer === undefined) return;
        const { steps: count, ...found } = tensors(snapshot.optimizer);
        state = { ...state, ...found };
        steps = (count?.data as Float32Array | undefined)?.[0] ?? steps;
      });
    },
  };
}

const zeros = (shape: readonly number[]) => new Float32Array(shape.reduce((size, length) => size * length, 1));

const copy = ({ dims, data }: RuntimeTensor): NdArray => ({
  dtype: "float32",
  shape: [...dims],
  data: (data as Float32Array).slice(),
});

/** Checks that every array has a place of its name, with its shape. */
function check(what: string, arrays: Parameters, shapes: ReadonlyMap<string, readonly number[]>): void {
  for (const [name, { shape, dtype }] of arrays) {
    const wanted = shapes.get(name);
    if (wanted === undefined) throw new TypeError(expected(what, `names among ${[...shapes.keys()].join(", ")}`, name));
    if (dtype !== "float32" || shape.join() !== wanted.join()) {
      throw new TypeError(expected(`${what} "${name}"`, `float32 [${wanted}]`, `${dtype} [${shape}]`));
    }
  }
}
