import { ParapetError } from "@parapet/core";
import {
  getBackend,
  getKernel,
  type KernelConfig,
  type KernelFunc,
  registerKernel,
  unregisterKernel,
} from "@tensorflow/tfjs-core";
import type { TfjsErrorCode } from "../problem.ts";
import { conv2dFilterGradient } from "./conv2d-filter.ts";
import { conv2dInputGradient } from "./conv2d-input.ts";
import { depthwiseFilterGradient, depthwiseInputGradient } from "./depthwise.ts";
import { identity } from "./identity.ts";
import { batchMatMul, fusedMatMul } from "./mat-mul.ts";
import { avgPoolGradient, maxPoolGradient } from "./pooling.ts";
import { unsortedSegmentSum } from "./segments.ts";
import { tile } from "./tile.ts";

const backendName = "wasm";

let users = 0;
let restore: (() => void) | undefined;

/**
 * Makes the WebAssembly backend of TensorFlow.js train: registers the gradient kernels it lacks and replaces the slow ones,
 * both by forward kernels that run on XNNPACK's vector code.
 *
 * Added (the stock backend throws "Kernel ... not registered"):
 * - `Conv2DBackpropFilter`: a convolution whose images are the input by channel and whose filter is dy, with strides and
 *   dilations in exchanged places; a matrix product over patches where few channels make those cheap.
 * - `DepthwiseConv2dNativeBackpropInput`: one depthwise convolution for each phase of the stride.
 * - `DepthwiseConv2dNativeBackpropFilter`: a loop over the heap.
 * - `UnsortedSegmentSum` (gather, embedding): a loop over the heap.
 *
 * Replaced:
 * - `Conv2DBackpropInput` (channels last): a convolution over dy that yields a block of neighbouring inputs at a time.
 * - `BatchMatMul` with a transposed operand or several products, `_FusedMatMul` with a transposed operand.
 * - `MaxPoolGrad`: to the first largest element of a window, as on the cpu backend (which, unlike this, drops a NaN's
 *   gradient). The stock kernel takes the last, and where no element of a window is positive, it sends the gradient to
 *   the first element of the whole input.
 * - `AvgPoolGrad`: divides by the elements a window really has. The stock kernels, cpu included, divide by the full window
 *   also where it hangs over the edge, which is not the derivative of the forward op.
 * - `Tile`, where it repeats the whole input (the gradient of batch-norm).
 * - `Identity`: shares memory, as on the cpu backend, instead of copying every tensor that is saved for the backward pass.
 *
 * The kernels are registered for the backend "wasm" of the one `@tensorflow/tfjs-core` and hold no tensors. A row of a
 * result has the same bits whatever else is in the batch: each sum runs in an order fixed by the layer alone.
 *
 * @returns A function that undoes this call. Calls are counted: the stock kernels come back, the same objects as before,
 *   when every call has been undone. Undoing one call twice does nothing more.
 * @throws ParapetError `"tfjs/backend-missing"` when the wasm backend's kernels are not registered.
 *
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs";
 * import "@tensorflow/tfjs-backend-wasm";
 * import { registerFastGradients } from "@parapet/tfjs/fast-wasm";
 *
 * await tf.setBackend("wasm");
 * const undo = registerFastGradients();
 * const model = tf.sequential({ layers: [tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 4, kernelSize: 3 })] });
 * model.compile({ optimizer: "sgd", loss: "meanSquaredError" });
 * await model.trainOnBatch(tf.ones([2, 8, 8, 1]), tf.zeros([2, 6, 6, 4]));
 * undo();
 * ```
 *
 * Source: the transposed convolution as a strided one over blocks is the sub-pixel form of W. Shi, J. Caballero,
 * L. Theis et al., "Is the deconvolution layer the same as a convolutional layer?", 2016, https://arxiv.org/abs/1609.07009.
 * Differences from the paper: it gives the idea, not an algorithm.
 */
export function registerFastGradients(): () => void {
  if (users === 0) restore = install();
  users++;
  let undone = false;
  return () => {
    if (undone) return;
    undone = true;
    users--;
    if (users > 0) return;
    restore?.();
    restore = undefined;
  };
}

/** Registers the kernels and returns what puts the earlier ones back. */
function install(): () => void {
  const forward = {
    conv2d: stock("Conv2D").kernelFunc,
    depthwiseConv2d: stock("DepthwiseConv2dNative").kernelFunc,
    batchMatMul: stock("BatchMatMul").kernelFunc,
  };
  const kernels: Record<string, KernelFunc> = {
    Conv2DBackpropFilter: conv2dFilterGradient(forward),
    DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient(forward),
    DepthwiseConv2dNativeBackpropFilter: depthwiseFilterGradient,
    UnsortedSegmentSum: unsortedSegmentSum,
    Conv2DBackpropInput: conv2dInputGradient(forward, stock("Conv2DBackpropInput").kernelFunc),
    BatchMatMul: batchMatMul(forward),
    _FusedMatMul: fusedMatMul(stock("_FusedMatMul").kernelFunc),
    MaxPoolGrad: maxPoolGradient,
    AvgPoolGrad: avgPoolGradient,
    Identity: identity,
    Tile: tile(stock("Tile").kernelFunc),
  };
  const undo = Object.entries(kernels).map(([name, kernelFunc]) => replace(name, kernelFunc));
  return () => {
    for (const back of undo) back();
  };
}

function replace(kernelName: string, kernelFunc: KernelFunc): () => void {
  const before = getKernel(kernelName, backendName) as KernelConfig | undefined;
  // What sets the stock kernel up has to stay: the backend may start later, and ours call the stock one.
  const ours: KernelConfig = { ...before, kernelName, backendName, kernelFunc };
  if (before !== undefined) unregisterKernel(kernelName, backendName);
  registerKernel(ours);
  return () => {
    // Whoever registered over ours meant it.
    if (getKernel(kernelName, backendName) !== ours) return;
    unregisterKernel(kernelName, backendName);
    if (before !== undefined) registerKernel(before);
  };
}

function stock(kernelName: string): KernelConfig {
  const kernel = getKernel(kernelName, backendName) as KernelConfig | undefined;
  if (kernel !== undefined) return kernel;
  throw new ParapetError<TfjsErrorCode>(
    "tfjs/backend-missing",
    `"backend" expected "wasm" to be registered (import "@tensorflow/tfjs-backend-wasm"), got ${getBackend() || "none"}`,
  );
}
