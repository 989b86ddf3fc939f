import type { NdArray, Parameters } from "@parapet/core";
import * as tf from "@tensorflow/tfjs-core";
import { readArray } from "./classifier.ts";

/**
 * An optimizer's state as plain arrays. `getWeights()` leaves out the running powers of Adam's decay rates, which
 * `setWeights()` computes anew with other rounding; they are added, so that training resumes to the same bits.
 */
export async function optimizerState(optimizer: tf.Optimizer): Promise<Parameters> {
  const state = new Map<string, NdArray>();
  const list = await optimizer.getWeights();
  for (const [i, { name, tensor }] of list.entries()) {
    // The count of iterations is int32; float32 holds it exactly up to 2^24.
    const data = Float32Array.from(await tensor.data());
    state.set(`${i}:${name}`, { dtype: "float32", shape: [...tensor.shape], data });
  }
  // The first is the count of iterations, made for us; the others are the optimizer's own variables.
  list[0]?.tensor.dispose();
  for (const [name, variable] of ownVariables(optimizer)) state.set(name, await readArray(variable));
  return state;
}

/** Puts such a state back. */
export async function restoreOptimizer(optimizer: tf.Optimizer, state: Parameters): Promise<void> {
  const before = await optimizer.getWeights();
  const own = ownVariables(optimizer);
  const list = [...state]
    .filter(([name]) => !own.has(name))
    .map(([name, { data, shape }]) => ({
      name: name.slice(name.indexOf(":") + 1),
      tensor: tf.tensor(data.slice(), [...shape]),
    }));
  await optimizer.setWeights(list);
  for (const { tensor } of [...before, ...list]) tensor.dispose();
  for (const [name, variable] of own) {
    const array = state.get(name);
    if (array === undefined) continue;
    const tensor = tf.tensor(array.data.slice(), [...array.shape]);
    variable.assign(tensor);
    tensor.dispose();
  }
}

function ownVariables(optimizer: tf.Optimizer): Map<string, tf.Variable> {
  const found = new Map<string, tf.Variable>();
  for (const [name, value] of Object.entries(optimizer)) if (value instanceof tf.Variable) found.set(name, value);
  return found;
}
