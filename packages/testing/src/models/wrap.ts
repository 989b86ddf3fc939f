import type { Bounds, CallOptions, DifferentiableClassifier, Loss, NdArray } from "@parapet/core";

/** Calls a hook before everything that a model is asked, pullbacks too. What the hook throws rejects the call. */
export function onCall(
  model: DifferentiableClassifier,
  hook: (x: NdArray, options?: CallOptions) => void,
): DifferentiableClassifier {
  return {
    inputShape: model.inputShape,
    numClasses: model.numClasses,
    bounds: model.bounds,
    async logits(x, options) {
      hook(x, options);
      return model.logits(x, options);
    },
    async labels(x, options) {
      hook(x, options);
      return model.labels(x, options);
    },
    async gradient(x, loss, options) {
      hook(x, options);
      return model.gradient(x, loss, options);
    },
    async linearize(x, options) {
      hook(x, options);
      const pass = await model.linearize(x, options);
      return {
        logits: pass.logits,
        async pullback(cotangent) {
          hook(x, options);
          return pass.pullback(cotangent);
        },
        release: () => pass.release(),
      };
    },
  };
}

/** The same model, said to accept other values. */
export function withBounds(model: DifferentiableClassifier, bounds: Bounds): DifferentiableClassifier {
  return { ...onCall(model, () => {}), bounds };
}

/**
 * A model whose logits are a function of another model's, row by row.
 *
 * @param forward - logits -> logits
 * @param backward - logits of the inner model, and a cotangent of the outer ones -> a cotangent of the inner ones
 */
export function mapLogits(
  model: DifferentiableClassifier,
  forward: (logits: NdArray) => NdArray,
  backward: (logits: NdArray, cotangent: NdArray) => NdArray,
): DifferentiableClassifier {
  const seen = (loss: Loss): Loss => ({
    count: loss.count,
    parts: loss.parts,
    value: (logits) => loss.value(forward(logits)),
    cotangent: (logits) => backward(logits, loss.cotangent(forward(logits))),
    take: (rows) => seen(loss.take(rows)),
  });
  return {
    inputShape: model.inputShape,
    numClasses: model.numClasses,
    bounds: model.bounds,
    logits: async (x, options) => forward(await model.logits(x, options)),
    labels: (x, options) => model.labels(x, options),
    async gradient(x, loss, options) {
      const { logits, value, gradient } = await model.gradient(x, seen(loss), options);
      return { logits: forward(logits), value, gradient };
    },
    async linearize(x, options) {
      const { logits, pullback, release } = await model.linearize(x, options);
      const inner: NdArray = { ...logits, data: logits.data.slice() };
      return {
        logits: forward(logits),
        pullback: async (cotangent) => pullback(backward(inner, cotangent)),
        release,
      };
    },
  };
}
