import {
  type Attack,
  boundsOf,
  checkInput,
  checkNumber,
  distance,
  exampleKeys,
  expected,
  type NdArray,
  takeRows,
} from "@parapet/core";

const STEPS = 5;

/** Iterated sign steps in the linf ball from a random start, each example stopping at its goal: small, and lawful. */
export function referenceAttack(epsilon: number): Attack {
  checkNumber("epsilon", epsilon, { min: 0 });
  return async (model, input, goal, { rng, signal, mask, onProgress, ...context }) => {
    signal?.throwIfAborted();
    const x = checkInput(model, input);
    const n = x.shape[0]!;
    const width = x.data.length / n;
    if (goal.classes.length !== n) throw new TypeError(expected("goal", `${n} examples`, goal.classes.length));
    for (const label of goal.classes) {
      if (label >= model.numClasses) throw new RangeError(expected("classes", `below ${model.numClasses}`, label));
    }
    const keys = context.keys ?? exampleKeys(x, goal.classes);
    if (keys.length !== n) throw new TypeError(expected("keys", `${n} keys`, keys.length));
    const isFree = freedom(mask, x);
    const { lower, upper } = boundsOf(model.bounds, width);
    const options = signal ? { signal } : {};

    const current = x.data.slice();
    const moveTo = (i: number, value: number) => {
      if (!isFree(i)) return;
      const near = Math.min(x.data[i]! + epsilon, Math.max(x.data[i]! - epsilon, value));
      current[i] = Math.min(upper[i % width]!, Math.max(lower[i % width]!, near));
    };
    const streams = Array.from(keys, (key) => rng.derive(key));
    x.data.forEach((value, i) => {
      moveTo(i, value + epsilon * (2 * streams[Math.floor(i / width)]!.next() - 1));
    });

    const queries = new Int32Array(n);
    const gradients = new Int32Array(n);
    let active = Int32Array.from({ length: n }, (_, i) => i);
    for (let step = 0; step < STEPS; step++) {
      signal?.throwIfAborted();
      onProgress?.({ done: step, total: STEPS });
      if (active.length === 0) continue;
      const part = goal.take(active);
      const { logits, gradient } = await model.gradient(takeRows({ ...x, data: current }, active), part.loss, options);
      const reached = part.isReached(logits).data;
      active.forEach((row, place) => {
        queries[row]!++;
        gradients[row]!++;
        if (reached[place] === 1) return;
        for (let j = 0; j < width; j++) {
          const slope = Math.sign(gradient.data[place * width + j]!) || 0;
          moveTo(row * width + j, current[row * width + j]! + ((2 * epsilon) / STEPS) * slope);
        }
      });
      active = active.filter((_, place) => reached[place] === 0);
    }
    signal?.throwIfAborted();
    const adversarial: NdArray = { ...x, data: current };
    const logits = await model.logits(adversarial, options);
    onProgress?.({ done: STEPS, total: STEPS });
    return {
      adversarial,
      success: goal.isReached(logits),
      distance: distance(adversarial, x, "linf"),
      queries: { dtype: "int32", shape: [n], data: queries.map((count) => count + 1) },
      gradients: { dtype: "int32", shape: [n], data: gradients },
    };
  };
}

/** Which elements of the inputs a mask lets change. */
function freedom(mask: NdArray<"bool"> | undefined, x: NdArray): (i: number) => boolean {
  if (mask === undefined) return () => true;
  const shape = mask.shape.join();
  const fits = shape === x.shape.join() || shape === x.shape.slice(1).join();
  if (mask.dtype !== "bool" || !fits) throw new TypeError(expected("mask", `bool [${x.shape}]`, mask.shape));
  return (i) => mask.data[i % mask.data.length] === 1;
}
