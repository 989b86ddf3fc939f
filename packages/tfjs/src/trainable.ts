import type { Loss } from "@parapet/core";
import {
  checkInput,
  checkLossRows,
  checkNumber,
  expected,
  type NdArray,
  type Parameters,
  type Snapshot,
  type StepOptions,
  type StepResult,
  type TrainableClassifier,
} from "@parapet/core";
import * as tf from "@tensorflow/tfjs-core";
import { copyBuffers, differentiable, type Engine, free, modeOf, readArray } from "./classifier.ts";
import { optimizerState, restoreOptimizer } from "./optimizer-state.ts";
import { pullback } from "./tape.ts";

/** What the engine needs besides `Source` to train. */
export interface Training {
  /** The trainable weights by name, in an order that never changes: optimizers keep their state by position. */
  readonly weights: ReadonlyMap<string, tf.Variable>;
  readonly optimizer: tf.Optimizer;
}

type Gradients = { readonly result: StepResult; readonly tensors: readonly tf.Tensor[] };

export function trainable(engine: Engine, { weights, optimizer }: Training): TrainableClassifier {
  const { source, queue } = engine;
  const variables = [...weights.values()];
  if (variables.length === 0) throw new TypeError(expected("model", "at least one trainable weight", "none"));
  // The optimizer's own learning rate: what it has, unless a step has set it to something else for itself.
  const rate = optimizer as unknown as { readonly learningRate?: number };
  let ownRate = rate.learningRate;
  let lastRate = ownRate;

  /** Gradients of the MEAN loss, on the device; the caller disposes them. */
  const meanGradients = async (
    x: NdArray,
    loss: Loss,
    options: StepOptions,
    keepBuffers: boolean,
  ): Promise<Gradients> => {
    const mode = modeOf({ ...options, mode: options.mode ?? "training" }, x);
    const parts = options.parts === "separate" ? loss.parts : 1;
    const pass = await engine.forward(x, mode, { parts, keepBuffers });
    try {
      const { logits } = pass;
      const value = loss.value(logits);
      const cotangent = loss.cotangent(logits);
      const [inputSum, ...tensors] = tf.tidy(() => {
        const dy = engine.cotangentTensor(cotangent);
        const sums = pullback(pass.recording, dy, options.inputGradient ? [...variables, pass.x] : variables);
        const means = variables.map((_, i) => tf.mul(sums[i]!, 1 / loss.count));
        return [sums[variables.length] ?? tf.scalar(0), ...means];
      }) as [tf.Tensor, ...tf.Tensor[]];
      const inputGradient = options.inputGradient ? { inputGradient: await readArray(inputSum) } : {};
      inputSum.dispose();
      return { result: { value, logits, ...inputGradient }, tensors };
    } finally {
      free(pass);
    }
  };

  const update = (tensors: readonly tf.Tensor[], learningRate: number | undefined): void => {
    if (rate.learningRate !== lastRate) ownRate = rate.learningRate; // changed by its owner since
    const wanted = learningRate ?? ownRate;
    if (wanted !== undefined) setLearningRate(optimizer, wanted);
    lastRate = rate.learningRate;
    const named = variables.map((variable, i) => ({ name: variable.name, tensor: tensors[i]! }));
    optimizer.applyGradients(named);
  };

  const prepare = (x: NdArray, loss: Loss, { learningRate }: StepOptions): NdArray => {
    const batch = checkInput(source, x, { withinBounds: false });
    checkLossRows(batch, loss);
    if (learningRate !== undefined) checkNumber("learningRate", learningRate, { min: 0 });
    return batch;
  };

  return {
    ...differentiable(engine),

    async step(x, loss, options = {}) {
      const batch = prepare(x, loss, options);
      return queue(async () => {
        const buffers = copyBuffers(source.buffers);
        try {
          const { result, tensors } = await meanGradients(batch, loss, options, false);
          try {
            update(tensors, options.learningRate);
          } finally {
            for (const tensor of tensors) tensor.dispose();
          }
          return result;
        } catch (error) {
          // A step that fails has not happened.
          buffers.restore();
          throw error;
        } finally {
          buffers.dispose();
        }
      }, options.signal);
    },

    async parameterGradients(x, loss, options = {}) {
      const batch = prepare(x, loss, options);
      return queue(async () => {
        const { result, tensors } = await meanGradients(batch, loss, options, true);
        try {
          const arrays = await Promise.all(tensors.map(readArray));
          return { ...result, gradients: new Map([...weights.keys()].map((name, i) => [name, arrays[i]!])) };
        } finally {
          for (const tensor of tensors) tensor.dispose();
        }
      }, options.signal);
    },

    async apply(gradients, { learningRate } = {}) {
      if (learningRate !== undefined) checkNumber("learningRate", learningRate, { min: 0 });
      const arrays = matching("gradients", gradients, weights);
      const missing = [...weights.keys()].filter((name) => !arrays.has(name));
      if (missing.length > 0) throw new TypeError(expected("gradients", `an array for ${missing.join(", ")}`, "none"));
      return queue(async () => {
        const tensors = [...weights.keys()].map((name) => toTensor(arrays.get(name)!));
        try {
          update(tensors, learningRate);
        } finally {
          for (const tensor of tensors) tensor.dispose();
        }
      });
    },

    async snapshot(options = {}): Promise<Snapshot> {
      return queue(async () => ({
        weights: await readAll(weights),
        buffers: await readAll(source.buffers),
        ...(options.optimizer ? { optimizer: await optimizerState(optimizer) } : {}),
      }));
    },

    async restore(snapshot) {
      const pairs = [
        ...assignments(matching("snapshot.weights", snapshot.weights, weights), weights),
        ...assignments(matching("snapshot.buffers", snapshot.buffers, source.buffers), source.buffers),
      ];
      return queue(async () => {
        for (const [variable, array] of pairs) {
          const tensor = toTensor(array);
          variable.assign(tensor);
          tensor.dispose();
        }
        if (snapshot.optimizer !== undefined) await restoreOptimizer(optimizer, snapshot.optimizer);
      });
    },
  };
}

function toTensor({ data, shape }: NdArray): tf.Tensor {
  return tf.tensor(data.slice(), [...shape]);
}

async function readAll(variables: ReadonlyMap<string, tf.Variable>): Promise<Parameters> {
  const arrays = await Promise.all([...variables.values()].map(readArray));
  return new Map([...variables.keys()].map((name, i) => [name, arrays[i]!]));
}

/** Checks that every array has a variable of its name, with its shape. */
function matching(what: string, arrays: Parameters, variables: ReadonlyMap<string, tf.Variable>): Parameters {
  for (const [name, { shape, dtype, data }] of arrays) {
    const variable = variables.get(name);
    if (variable === undefined)
      throw new TypeError(expected(what, `names among ${[...variables.keys()].join(", ")}`, name));
    if (dtype !== "float32" || shape.join() !== variable.shape.join() || data.length !== variable.size) {
      throw new TypeError(expected(`${what} "${name}"`, `float32 [${variable.shape}]`, `${dtype} [${shape}]`));
    }
  }
  return arrays;
}

function assignments(arrays: Parameters, variables: ReadonlyMap<string, tf.Variable>): [tf.Variable, NdArray][] {
  return [...arrays].map(([name, array]) => [variables.get(name)!, array]);
}

/** SGD and momentum ignore an assignment to `learningRate`; the others know nothing else. */
function setLearningRate(optimizer: tf.Optimizer, rate: number): void {
  const target = optimizer as unknown as { learningRate: number; setLearningRate?(rate: number): void };
  if (target.learningRate === rate) return;
  if (typeof target.setLearningRate === "function") target.setLearningRate(rate);
  else target.learningRate = rate;
}
