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
import { differentiable, type Releasable, toArray } from "./classifier.ts";
import { type Engine, prepare } from "./engine.ts";
import type { LossKind } from "./loss-nodes.ts";
import type { Optimizer } from "./optimizers.ts";
import { type RuntimeTensor, value } from "./runtime.ts";

const scalars = { rate: "parapet_learning_rate", step: "parapet_step", scale: "parapet_scale" } as const;

export function trainable(engine: Engine, optimizer: Optimizer): TrainableClassifier & Releasable {
  const { source, queue } = engine;
  const { input, logits: logitsName } = source;
  const names = [...source.weights!.keys()];
  const shapes = new Map([...source.weights!].map(([name, { shape }]) => [name, shape]));
  const sizeOfWeight = (name: string) => source.weights!.get(name)!.data.length;
  const stateNames = names.flatMap((name) => optimizer.state.map((part) => `${name}/${part}`));
  let state = new Map(stateNames.map((name) => [name, zeros(name)]));
  let steps = 0;

  function zeros(stateName: string): RuntimeTensor {
    const weight = names.find((name) => stateName.startsWith(`${name}/`))!;
    return engine.tensor(new Float32Array(sizeOfWeight(weight)), shapes.get(weight)!);
  }
  const scalar = (number: number) => engine.tensor(Float32Array.of(number), []);

  /** What a graph gives, by what it is: the outputs' own names are the builder's. */
  const layouts = new Map<string, { readonly gradients: readonly string[]; readonly input: string | undefined }>();

  /** The graph of a step: logits, the new weights and state, and on demand the input gradient. */
  const stepProgram = (kind: LossKind, withInput: boolean) => {
    const key = `step ${kind} ${withInput}`;
    return engine
      .program(key, (b) => {
        const wrt = withInput ? [...names, input] : names;
        const found = engine.gradientNodes(b, kind, wrt);
        const updated: string[] = [];
        const states: string[] = [];
        names.forEach((name, i) => {
          const result = optimizer.update(b, {
            weight: name,
            gradient: b.add("Mul", [found.names[i]!, scalars.scale]),
            state: optimizer.state.map((part) => `${name}/${part}`),
            learningRate: scalars.rate,
            step: scalars.step,
          });
          updated.push(result.weight);
          states.push(...result.state);
        });
        const inputGradient = withInput ? b.add("Identity", [found.names[names.length]!]) : undefined;
        layouts.set(key, { gradients: [...updated, ...states], input: inputGradient });
        const extra = [scalars.rate, scalars.step, scalars.scale].map((name) => value(name, "float32", []));
        const stateInputs = stateNames.map((name) => value(name));
        return {
          outputs: [logitsName, ...updated, ...states, ...(inputGradient === undefined ? [] : [inputGradient])],
          inputs: [...found.inputs, ...extra, ...stateInputs],
        };
      })
      .then((program) => ({ program, ...layouts.get(key)! }));
  };

  const gradientProgram = (kind: LossKind) => {
    const key = `parameter gradients ${kind}`;
    return engine
      .program(key, (b) => {
        const found = engine.gradientNodes(b, kind, [...names, input]);
        const scaled = names.map((_, i) => b.add("Mul", [found.names[i]!, scalars.scale]));
        const inputGradient = b.add("Identity", [found.names[names.length]!]);
        layouts.set(key, { gradients: scaled, input: inputGradient });
        return {
          outputs: [logitsName, ...scaled, inputGradient],
          inputs: [...found.inputs, value(scalars.scale, "float32", [])],
        };
      })
      .then((program) => ({ program, ...layouts.get(key)! }));
  };

  const ready = (x: NdArray, loss: Loss, options: StepOptions): NdArray => {
    const batch = prepare(source, x, options);
    checkLossRows(batch, loss);
    if (options.learningRate !== undefined) checkNumber("learningRate", options.learningRate, { min: 0 });
    return batch;
  };

  return {
    ...differentiable(engine),

    async step(x, loss, options = {}): Promise<StepResult> {
      const batch = ready(x, loss, options);
      return queue(async () => {
        const { kind, feeds } = await engine.lossFeeds(batch, loss);
        const { program, gradients, input: inputGradient } = await stepProgram(kind, options.inputGradient === true);
        const run = await program.run({
          ...feeds,
          ...Object.fromEntries(state),
          [scalars.rate]: scalar(options.learningRate ?? optimizer.learningRate),
          [scalars.step]: scalar(steps + 1),
          [scalars.scale]: scalar(1 / loss.count),
        });
        const logits = engine.toLogits(run[logitsName]!);
        const result = { value: loss.value(logits), logits };
        engine.setWeights(new Map(names.map((name, i) => [name, run[gradients[i]!]!])));
        state = new Map(stateNames.map((name, i) => [name, run[gradients[names.length + i]!]!]));
        steps++;
        if (inputGradient === undefined) return result;
        return { ...result, inputGradient: toArray(run[inputGradient]!, batch.shape) };
      }, options.signal);
    },

    async parameterGradients(x, loss, options = {}) {
      const batch = ready(x, loss, options);
      return queue(async () => {
        const { kind, feeds } = await engine.lossFeeds(batch, loss);
        const { program, gradients, input: inputGradient } = await gradientProgram(kind);
        const run = await program.run({ ...feeds, [scalars.scale]: scalar(1 / loss.count) });
        const logits = engine.toLogits(run[logitsName]!);
        return {
          value: loss.value(logits),
          logits,
          gradients: new Map(names.map((name, i) => [name, toArray(run[gradients[i]!]!, shapes.get(name)!)])),
          ...(options.inputGradient ? { inputGradient: toArray(run[inputGradient!]!, batch.shape) } : {}),
        };
      }, options.signal);
    },

    async apply(gradients, { learningRate } = {}) {
      if (learningRate !== undefined) checkNumber("learningRate", learningRate, { min: 0 });
      check("gradients", gradients, shapes);
      const missing = names.filter((name) => !gradients.has(name));
      if (missing.length > 0) throw new TypeError(expected("gradients", `an array for ${missing.join(", ")}`, "none"));
      return queue(async () => {
        const key = "apply";
        const program = await engine.program(key, (b) => {
          const results = names.map((name) =>
            optimizer.update(b, {
              weight: name,
              gradient: `${name}/parapet_gradient`,
              state: optimizer.state.map((part) => `${name}/${part}`),
              learningRate: scalars.rate,
              step: scalars.step,
            }),
          );
          const outputs = [...results.map(({ weight }) => weight), ...results.flatMap((result) => result.state)];
          layouts.set(key, { gradients: outputs, input: undefined });
          const inputs = [...names.map((name) => `${name}/parapet_gradient`), ...stateNames].map((name) => value(name));
          return {
            outputs,
            inputs: [...inputs, value(scalars.rate, "float32", []), value(scalars.step, "float32", [])],
          };
        });
        const run = await program.run({
          ...engine.feeds(1),
          ...Object.fromEntries(state),
          ...Object.fromEntries(
            [...gradients].map(([name, { data, shape }]) => [
              `${name}/parapet_gradient`,
              engine.tensor(data.slice(), shape),
            ]),
          ),
          [scalars.rate]: scalar(learningRate ?? optimizer.learningRate),
          [scalars.step]: scalar(steps + 1),
        });
        const outputs = layouts.get(key)!.gradients;
        engine.setWeights(new Map(names.map((name, i) => [name, run[outputs[i]!]!])));
        state = new Map(stateNames.map((name, i) => [name, run[outputs[names.length + i]!]!]));
        steps++;
      });
    },

    async snapshot(options = {}): Promise<Snapshot> {
      return queue(async () => {
        const copy = (tensor: RuntimeTensor): NdArray => ({
          dtype: "float32",
          shape: [...tensor.dims],
          data: (tensor.data as Float32Array).slice(),
        });
        const optimizerState = new Map(stateNames.map((name) => [name, copy(state.get(name)!)]));
        optimizerState.set("steps", { dtype: "float32", shape: [], data: Float32Array.of(steps) });
        return {
          weights: new Map(names.map((name) => [name, copy(engine.weight(name))])),
          buffers: new Map(),
          ...(options.optimizer ? { optimizer: optimizerState } : {}),
        };
      });
    },

    async restore(snapshot) {
      check("snapshot.weights", snapshot.weights, shapes);
      const wantedState = new Map(stateNames.map((name) => [name, state.get(name)!.dims]));
      if (snapshot.optimizer !== undefined)
        check("snapshot.optimizer", snapshot.optimizer, new Map([...wantedState, ["steps", []]]));
      return queue(async () => {
        const tensors = (arrays: Parameters) =>
          new Map([...arrays].map(([name, { data, shape }]) => [name, engine.tensor(data.slice(), shape)]));
        engine.setWeights(tensors(snapshot.weights));
        if (snapshot.optimizer === undefined) return;
        const found = tensors(snapshot.optimizer);
        state = new Map(stateNames.map((name) => [name, found.get(name) ?? state.get(name)!]));
        steps = snapshot.optimizer.get("steps")?.data[0] ?? steps;
      });
    },
  };
}

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
