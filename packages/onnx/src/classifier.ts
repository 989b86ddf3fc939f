import {
  type CallOptions,
  checkLossRows,
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
import { atLeastTwo, type Engine, prepare } from "./engine.ts";
import type { RuntimeTensor } from "./runtime.ts";

/** A model of onnxruntime; `release` frees its sessions. */
export interface Releasable {
  /** Frees the sessions; calls after it reject. May be called again. */
  release(): Promise<void>;
}

export function differentiable(engine: Engine): DifferentiableClassifier & Releasable {
  const { source, queue } = engine;
  const { inputShape, bounds, outputSize, input, logits: logitsName } = source;

  const first = (array: NdArray, n: number): NdArray =>
    array.shape[0] === n
      ? array
      : takeRows(
          array,
          Int32Array.from({ length: n }, (_, i) => i),
        );

  const logits = async (x: NdArray, options: CallOptions = {}): Promise<NdArray> => {
    const batch = prepare(source, x, options);
    return queue(async () => first(await engine.logits(atLeastTwo(batch)), batch.shape[0]!), options.signal);
  };

  /** One run for logits and gradient, with the weights that are held. */
  const pull = async (batch: NdArray, loss: Loss, weights: Record<string, RuntimeTensor>): Promise<GradientResult> => {
    const n = batch.shape[0]!;
    const rows = atLeastTwo(batch);
    const { kind, feeds } = await engine.lossFeeds(rows, n === 1 ? loss.take(Int32Array.of(0, 0)) : loss, weights);
    const program = await engine.program(`gradient ${kind}`, (b) => {
      const found = engine.gradientNodes(b, kind, [input]);
      const name = b.add("Identity", [found.names[0]!]);
      gradientNames.set(kind, name);
      return { outputs: [logitsName, name], inputs: found.inputs };
    });
    const run = await program.run(feeds);
    const answer = first(engine.toLogits(run[logitsName]!), n);
    const gradient = first(toArray(run[gradientNames.get(kind)!]!, rows.shape), n);
    return { logits: answer, value: loss.value(answer), gradient };
  };
  const gradientNames = new Map<string, string>();

  return {
    inputShape,
    numClasses: Math.max(2, outputSize),
    bounds,
    logits,
    async labels(x, options) {
      return labelsOf(await logits(x, options));
    },
    async gradient(x, loss, options = {}) {
      const batch = prepare(source, x, options);
      checkLossRows(batch, loss);
      return queue(() => pull(batch, loss, engine.weights()), options.signal);
    },
    async linearize(x, options = {}): Promise<Linearization> {
      const batch = prepare(source, x, options);
      const weights = await queue(async () => engine.weights(), options.signal);
      const answer = await logits(batch, options);
      let released = false;
      return {
        logits: answer,
        async pullback(cotangent) {
          if (released) throw new TypeError(expected("linearization", "one that is not released", "a released one"));
          const loss = linear(cotangent);
          checkLossRows(batch, loss);
          return (await queue(() => pull(batch, loss, weights), options.signal)).gradient;
        },
        release() {
          released = true;
        },
      };
    },
    release: () => engine.release(),
  };
}

export function toArray({ data }: RuntimeTensor, shape: readonly number[]): NdArray {
  return { dtype: "float32", shape: [...shape], data: data as Float32Array };
}
