import * as tf from "@tensorflow/tfjs-core";

type Kernel = (parameters: {
  inputs: Record<string, tf.TensorInfo>;
  attrs?: Record<string, unknown>;
  backend: unknown;
}) => tf.TensorInfo | tf.TensorInfo[];

/**
 * tfjs fuses a convolution or matrix product with its bias when the activation is linear, and the derivative of the
 * fused operation computes every derivative at once, wanted or not; on the wasm backend it then fails outright, because
 * the filter gradient is not registered. So while such a node is pulled back for its input only, the kernels that make
 * the unwanted derivatives give zeros instead.
 */
export function stubbed<T>(
  node: { readonly kernelName: string; readonly inputs: Readonly<Record<string, tf.Tensor>> },
  needed: readonly string[],
  f: () => T,
): T {
  if (needed.length !== 1 || needed[0] !== "0") return f();
  switch (node.kernelName) {
    case "fusedConv2d__op":
      return replacing("Conv2DBackpropFilter", () => filterZeros, f);
    case "fusedDepthwiseConv2d__op":
      return replacing("DepthwiseConv2dNativeBackpropFilter", () => filterZeros, f);
    case "fusedMatMul__op": {
      // The derivative of `a` is the first product, that of `b` the second.
      let products = 0;
      return replacing(
        "BatchMatMul",
        (original) => (parameters) => (++products === 2 && original ? productZeros(parameters) : original!(parameters)),
        f,
      );
    }
    default:
      return f();
  }
}

const filterZeros: Kernel = ({ attrs }) => tf.zeros(attrs!.filterShape as [number, number, number, number]);

const productZeros: Kernel = ({ inputs, attrs }) => {
  const { a, b } = inputs as { a: tf.TensorInfo; b: tf.TensorInfo };
  const rows = a.shape.at(attrs!.transposeA ? -1 : -2)!;
  const columns = b.shape.at(attrs!.transposeB ? -2 : -1)!;
  const batch = Math.max(a.shape[0]!, b.shape[0]!);
  return tf.zeros([batch, rows, columns]);
};

function replacing<T>(kernelName: string, make: (original: Kernel | undefined) => Kernel, f: () => T): T {
  const backendName = tf.getBackend();
  const config = tf.getKernel(kernelName, backendName);
  if (config === undefined) {
    tf.registerKernel({ kernelName, backendName, kernelFunc: make(undefined) as tf.KernelFunc });
    try {
      return f();
    } finally {
      tf.unregisterKernel(kernelName, backendName);
    }
  }
  const original = config.kernelFunc;
  config.kernelFunc = make(original as Kernel) as tf.KernelFunc;
  try {
    return f();
  } finally {
    config.kernelFunc = original;
  }
}
