import type { KernelFunc, NamedAttrMap, TensorInfo } from "@tensorflow/tfjs-core";
import { type Axis, convolutionGeometry, type Geometry } from "./geometry.ts";
import {
  alias,
  allocate,
  dispose,
  dropAlias,
  type ForwardKernels,
  floats,
  transpose,
  type WasmBackend,
} from "./heap.ts";

/** Conv2DBackpropFilter: the gradient of a convolution with respect to its filter. */
export function conv2dFilterGradient(forward: ForwardKernels): KernelFunc {
  return (args) => {
    const attrs = args.attrs as NamedAttrMap;
    if (attrs.dataFormat === "NCHW") {
      throw new RangeError('"dataFormat" expected "NHWC" on the wasm backend, got "NCHW"');
    }
    const backend = args.backend as WasmBackend;
    const x = args.inputs.x!;
    const dy = args.inputs.dy!;
    const geometry = convolutionGeometry(x.shape, attrs.filterShape as number[], dy.shape, attrs, false);
    if (reach(geometry.rows) < 1 || reach(geometry.columns) < 1) return zeros(backend, attrs.filterShape as number[]);
    // With one tap each image would be one output pixel, and XNNPACK would read all of dy again for every channel.
    const single = geometry.rows.taps * geometry.columns.taps === 1;
    return single ? byMatMul(forward, backend, x, dy, geometry) : byConvolution(forward, backend, x, dy, geometry);
  };
}

/**
 * dw(k) is the sum over images and outputs j of x(j stride + k dilation - before) dy(j): a convolution whose images are
 * x by channel, whose filter is dy, whose depth is the batch, with strides and dilations changing places.
 */
function byConvolution(
  forward: ForwardKernels,
  backend: WasmBackend,
  x: TensorInfo,
  dy: TensorInfo,
  geometry: Geometry,
): TensorInfo {
  const { batch, inChannels, outChannels, rows, columns } = geometry;
  // Rows and columns that no output reaches are left out, those that lie in the padding after the input are added.
  const height = Math.min(rows.input, reach(rows));
  const width = Math.min(columns.input, reach(columns));
  const images = allocate(backend, [inChannels, height, width, batch]);
  const filter = allocate(backend, [rows.output, columns.output, batch, outChannels]);
  channelsFirst(floats(backend, x), floats(backend, images), geometry, height, width);
  swapOuter(floats(backend, dy), floats(backend, filter), batch, rows.output * columns.output, outChannels);
  const gradient = forward.conv2d({
    inputs: { x: images, filter },
    backend,
    attrs: {
      strides: [rows.dilation, columns.dilation],
      dilations: [rows.stride, columns.stride],
      pad: [
        [0, 0],
        [rows.before, reach(rows) - height],
        [columns.before, reach(columns) - width],
        [0, 0],
      ] as unknown as number[],
      dataFormat: "NHWC",
    },
  }) as TensorInfo;
  dispose(backend, images, filter);
  const shape = [rows.taps, columns.taps, inChannels, outChannels];
  if (inChannels === 1) return { dataId: gradient.dataId, shape, dtype: "float32" };
  const result = allocate(backend, shape);
  swapOuter(floats(backend, gradient), floats(backend, result), inChannels, rows.taps * columns.taps, outChannels);
  dispose(backend, gradient);
  return result;
}

/** A filter of one tap: [inChannels, places] times [places, outChannels]. */
function byMatMul(
  forward: ForwardKernels,
  backend: WasmBackend,
  x: TensorInfo,
  dy: TensorInfo,
  { batch, inChannels, outChannels, rows, columns }: Geometry,
): TensorInfo {
  const places = batch * rows.output * columns.output;
  const images = allocate(backend, [1, inChannels, places]);
  const from = floats(backend, x);
  const to = floats(backend, images);
  if (rows.output === rows.input && columns.output === columns.input && rows.before + columns.before === 0) {
    transpose(from, to, places, inChannels);
  } else {
    let place = 0;
    for (let n = 0; n < batch; n++) {
      for (let i = -rows.before, down = 0; down < rows.output; down++, i += rows.stride) {
        for (let j = -columns.before, right = 0; right < columns.output; right++, j += columns.stride, place++) {
          const inside = i >= 0 && i < rows.input && j >= 0 && j < columns.input;
          const base = ((n * rows.input + i) * columns.input + j) * inChannels;
          for (let c = 0; c < inChannels; c++) to[c * places + place] = inside ? from[base + c]! : 0;
        }
      }
    }
  }
  const weights = alias(backend, dy, 0, [1, places, outChannels]);
  const gradient = forward.batchMatMul({
    inputs: { a: images, b: weights },
    backend,
    attrs: { transposeA: false, transposeB: false },
  }) as TensorInfo;
  dropAlias(backend, weights);
  dispose(backend, images);
  return { dataId: gradient.dataId, shape: [1, 1, inChannels, outChannels], dtype: "float32" };
}

/** The gradient of a filter that sees nothing but padding. */
function zeros(backend: WasmBackend, shape: number[]): TensorInfo {
  const result = allocate(backend, shape);
  floats(backend, result).fill(0);
  return result;
}

/** The extent of x, counted from its first element, over which the filter moves. */
const reach = ({ taps, dilation, output, stride, before }: Axis): number =>
  (taps - 1) * dilation + (output - 1) * stride + 1 - before;

/** [batch, rows, columns, channels] to [channels, height, width, batch], cropped at the end. */
function channelsFirst(
  from: Float32Array,
  to: Float32Array,
  { batch, inChannels, rows, columns }: Geometry,
  height: number,
  width: number,
): void {
  if (inChannels === 1 && height === rows.input && width === columns.input) {
    transpose(from, to, batch, height * width);
    return;
  }
  const image = rows.input * columns.input * inChannels;
  const plane = height * width * batch;
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const source = (i * columns.input + j) * inChannels;
      const target = (i * width + j) * batch;
      for (let n = 0; n < batch; n++) {
        let at = target + n;
        for (let f = source + n * image, end = f + inChannels; f < end; f++, at += plane) to[at] = from[f]!;
      }
    }
  }
}

/** [a, b, run] to [b, a, run]. */
function swapOuter(from: Float32Array, to: Float32Array, a: number, b: number, run: number): void {
  let at = 0;
  for (let j = 0; j < b; j++) {
    for (let i = 0; i < a; i++) {
      let source = (i * b + j) * run;
      for (const end = at + run; at < end; at++) to[at] = from[source++]!;
    }
  }
}
