import {
  type CallOptions,
  checkLossRows,
  concatRows,
  type DifferentiableClassifier,
  expected,
  type GradientResult,
  type Linearization,
  type Loss,
  labelsOf,
  linear,
  type NdArray,
  takeRows,
} from "@parapet/core";
import { atLeastTwo, type Call, type Engine, type Held } from "./engine.ts";
import type { Releasable } from "./onnx-classifier.ts";
import type { RuntimeTensor } from "./runtime.ts";

export function differentiable(engine: Engine): DifferentiableClassifier & Releasable {
  const { source, queue, state } = engine;
  const { inputShape, bounds, outputSize, input, logits: logitsName } = source;

  /** A file whose batch is 1 is asked for one row after the other. */
  const single = source.batches.length === 1;
  const rowsOf = ({ x, keys, variant }: Call): Call[] =>
    Array.from({ length: x.shape[0]! }, (_, i) => {
      return { x: takeRows(x, Int32Array.of(i)), variant, keys: keys?.slice(i, i + 1) };
    });

  const answer = async (call: Call, held: Held): Promise<NdArray> => {
    if (!single) return firstRows(await engine.logits(atLeastTwo(source, call), held), call.x.shape[0]!);
    const rows: NdArray[] = [];
    for (const row of rowsOf(call)) rows.push(await engine.logits(row, held));
    return concatRows(rows);
  };

  const logits = async (x: NdArray, options: CallOptions = {}): Promise<NdArray> => {
    const call = engine.call(x, options);
    return queue(() => answer(call, state.tensors), options.signal);
  };

  const gradientNames = new Map<string, string>();
  /** One run for logits and gradient, with the weights that are held. */
  const pull = async (call: Call, loss: Loss, held: Held): Promise<GradientResult> => {
    const n = call.x.shape[0]!;
    if (single && n > 1) {
      const scores = await answer(call, held);
      const whole = loss.parts === 1 ? loss : linear(loss.cotangent(scores));
      const gradients: NdArray[] = [];
      for (const [i, row] of rowsOf(call).entries()) {
        gradients.push((await pull(row, whole.take(Int32Array.of(i)), held)).gradient);
      }
      return { logits: scores, value: loss.value(scores), gradient: concatRows(gradients) };
    }
    const rows = atLeastTwo(source, call);
    const { kind, feeds } = await engine.lossFeeds(rows, rows === call ? loss : loss.take(Int32Array.of(0, 0)), held);
    const key = `${kind} ${call.variant.key}`;
    const program = await engine.program(`gradient ${kind}`, call.variant, (b) => {
      const found = engine.gradientNodes(b, call.variant, kind, [input]);
      const name = b.add("Identity", [found.names[0]!]);
      gradientNames.set(key, name);
      return { outputs: [logitsName, name], inputs: found.inputs, checked: true };
    });
    const run = await program.run(feeds);
    const scores = firstRows(engine.toLogits(run[logitsName]!), n);
    const gradient = firstRows(toArray(run[gradientNames.get(key)!]!, rows.x.shape), n);
    return { logits: scores, value: loss.value(scores), gradient };
  };

  return {
    inputShape,
    numClasses: Math.max(2, outputSize),
    bounds,
    logits,
    async labels(x, options) {
      return labelsOf(await logits(x, options));
    },
    async gradient(x, loss, options = {}) {
      const call = engine.call(x, options);
      checkLossRows(call.x, loss);
      return queue(() => pull(call, loss, state.tensors), options.signal);
    },
    async linearize(x, options = {}): Promise<Linearization> {
      const call = engine.call(x, options);
      const { held, scores } = await queue(async () => {
        const held = state.tensors;
        return { held, scores: await answer(call, held) };
      }, options.signal);
      let released = false;
      return {
        logits: scores,
        async pullback(cotangent) {
          if (released) throw new TypeError(expected("linearization", "one that is not released", "a released one"));
          const loss = linear(cotangent);
          checkLossRows(call.x, loss);
          return (await queue(() => pull(call, loss, held), options.signal)).gradient;
        },
        release() {
          released = true;
        },
      };
    },
    release: () => engine.release(),
  };
}

/** The first n rows. */
export function firstRows(array: NdArray, n: number): NdArray {
  if (array.shape[0] === n) return array;
  return takeRows(
    array,
    Int32Array.from({ length: n }, (_, i) => i),
  );
}

export function toArray({ data }: RuntimeTensor, shape: readonly number[]): NdArray {
  return { dtype: "float32", shape: [...shape], data: data as Float32Array };
}
