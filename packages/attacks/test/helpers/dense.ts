import {
  type Bounds,
  type CallOptions,
  type DifferentiableClassifier,
  labelsOf,
  linearizeByRecompute,
  type NdArray,
} from "@parapet/core";

/** One layer: `W x + b`, W row-major `[outputs, inputs]`. */
export interface Layer {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** Dense layers with ReLU between them, in plain loops: quick enough for thousands of passes over a small network. */
export function denseModel(
  layers: readonly Layer[],
  bounds: Bounds = { lower: 0, upper: 1 },
): DifferentiableClassifier {
  const widths = [layers[0]!.weight.length / layers[0]!.bias.length, ...layers.map(({ bias }) => bias.length)];
  const values = widths.map((width) => new Float64Array(width));
  const numClasses = widths.at(-1)!;
  const width = widths[0]!;

  function forward(x: Float32Array, at: number): void {
    for (let j = 0; j < width; j++) values[0]![j] = x[at + j]!;
    layers.forEach(({ weight, bias }, l) => {
      const [input, output] = [values[l]!, values[l + 1]!];
      const last = l === layers.length - 1;
      for (let o = 0; o < output.length; o++) {
        let sum = bias[o]!;
        const row = o * input.length;
        for (let j = 0; j < input.length; j++) sum += weight[row + j]! * input[j]!;
        output[o] = last || sum > 0 ? sum : 0;
      }
    });
  }

  function backward(
    values: readonly Float64Array[],
    cotangent: Float32Array,
    at: number,
    out: Float32Array,
    to: number,
  ): void {
    let above = Float64Array.from(cotangent.subarray(at, at + numClasses));
    for (let l = layers.length - 1; l >= 0; l--) {
      const { weight } = layers[l]!;
      const input = values[l]!;
      const below = new Float64Array(input.length);
      for (let o = 0; o < above.length; o++) {
        const c = above[o]!;
        if (c === 0) continue;
        const row = o * input.length;
        for (let j = 0; j < input.length; j++) below[j]! += c * weight[row + j]!;
      }
      if (l > 0) for (let j = 0; j < input.length; j++) if (!(input[j]! > 0)) below[j] = 0;
      above = below;
    }
    out.set(above, to);
  }

  const logitsOf = ({ shape, data }: NdArray, hidden?: Float64Array[][]): NdArray => {
    const n = shape[0]!;
    const out = new Float32Array(n * numClasses);
    for (let i = 0; i < n; i++) {
      forward(data, i * width);
      out.set(values.at(-1)!, i * numClasses);
      hidden?.push(values.map((layer) => layer.slice()));
    }
    return { dtype: "float32", shape: [n, numClasses], data: out };
  };
  const model: DifferentiableClassifier = {
    inputShape: [width],
    numClasses,
    bounds,
    logits: async (x, options?: CallOptions) => {
      options?.signal?.throwIfAborted();
      return logitsOf(x);
    },
    labels: async (x) => labelsOf(logitsOf(x)),
    async gradient(x, loss, options) {
      options?.signal?.throwIfAborted();
      const hidden: Float64Array[][] = [];
      const logits = logitsOf(x, hidden);
      const cotangent = loss.cotangent(logits).data;
      const gradient = new Float32Array(x.data.length);
      for (let i = 0; i < x.shape[0]!; i++) {
        backward(hidden[i]!, cotangent, i * numClasses, gradient, i * width);
      }
      return { logits, value: loss.value(logits), gradient: { ...x, data: gradient } };
    },
    linearize: (x, options) => linearizeByRecompute(model)(x, options),
  };
  return model;
}
