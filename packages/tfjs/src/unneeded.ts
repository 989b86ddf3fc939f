import * as tf from "@tensorflow/tfjs-core";

type Kernel = (parameters: {
  inputs: Record<string, tf.TensorInfo>;
  attrs?: Record<string, unknown>;
  backend: unknown;
}) => tf.TensorInfo | tf.TensorInfo[];

/**
 * tfjs fuses a convolution or matrix product with its bias when the activation is linear, and the derivative of the
 * fused operation computes every derivative at once, wanted or not; on the wasm backend it then fails outright, because
 * the filter gradient is not registered. So while such a node is pulled back, the kernels that make the unwanted
 * derivatives (input "0" is the image or the left matrix, "1" the filter or the right one) give zeros instead.
 */
export function stubbed<T>(
  node: { readonly kernelName: string; readonly inputs: Readonly<Record<string, tf.Tensor>> },
  needed: readonly string[],
  f: () => T,
): T {
  const unwanted = ["0", "1"].filter((input) => input in node.inputs && !needed.includes(input));
  const [input] = unwanted;
  if (input === undefined) return f();
  switch (node.kernelName) {
    case "fusedConv2d__op":
      return input === "0"
        ? replacing("Conv2DBackpropInput", () => imageZeros, f)
        : replacing("Conv2DBackpropFilter", () => filterZeros, f);
    case "fusedDepthwiseConv2d__op":
      return input === "0"
        ? replacing("DepthwiseConv2dNativeBackpropInput", () => imageZeros, f)
        : replacing("DepthwiseConv2dNativeBackpropFilter", () => filterZeros, f);
    case "fusedMatMul__op": {
      // The derivative of the left matrix is the first product, that of the right one the second.
      let products = 0;
      const stub =
        (original: Kernel | undefined): Kernel =>
        (parameters) =>
          String(products++) === input ? productZeros(parameters) : original!(parameters);
      return replacing("BatchMatMul", stub, f);
    }
    default:
      return f();
  }
}

const imageZeros: Kernel = ({ attrs }) => tf.zeros(attrs!.inputShape as [number, number, number, number]);

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
