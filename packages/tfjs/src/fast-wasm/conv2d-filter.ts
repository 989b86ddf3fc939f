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
    return isThin(geometry)
      ? byMatMul(forward, backend, x, dy, geometry)
      : byConvolution(forward, backend, x, dy, geometry);
  };
}

/**
 * Whether the patches of x, laid out, cost less than what the convolution spends on its operands: an element moved once
 * for each tap against x moved once and dy moved, transposed and packed, which is about four moves more than packed alone.
 */
function isThin({ batch, rows, columns, inChannels, outChannels }: Geometry): boolean {
  const places = batch * rows.output * columns.output;
  const patches = rows.taps * columns.taps * inChannels * places;
  return 1.2 * patches < batch * rows.input * columns.input * inChannels + 4 * outChannels * places;
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

/** [taps channels, places] times [places, outChannels], where places are the outputs of all images. */
function byMatMul(
  forward: ForwardKernels,
  backend: WasmBackend,
  x: TensorInfo,
  dy: TensorInfo,
  geometry: Geometry,
): TensorInfo {
  const { batch, inChannels, outChannels, rows, columns } = geometry;
  const places = batch * rows.output * columns.output;
  const height = rows.taps * columns.taps * inChannels;
  const patches = allocate(backend, [1, height, places]);
  layOutPatches(floats(backend, x), floats(backend, patches), geometry);
  const weights = alias(backend, dy, 0, [1, places, outChannels]);
  const gradient = forward.batchMatMul({
    inputs: { a: patches, b: weights },
    backend,
    attrs: { transposeA: false, transposeB: false },
  }) as TensorInfo;
  dropAlias(backend, weights);
  dispose(backend, patches);
  return { dataId: gradient.dataId, shape: [rows.taps, columns.taps, inChannels, outChannels], dtype: "float32" };
}

/** x [batch, rows, columns, channels] to [taps, taps, channels, batch, outputs, outputs], with zeros for the padding. */
function layOutPatches(from: Float32Array, to: Float32Array, { batch, inChannels, rows, columns }: Geometry): void {
  const places = batch * rows.output * columns.output;
  if (isPointwise(rows) && isPointwise(columns)) {
    transpose(from, to, places, inChannels);
    return;
  }
  to.fill(0);
  const move = columns.stride * inChannels;
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows.output; i++) {
      const place = (n * rows.output + i) * columns.output;
      for (let k = 0; k < rows.taps; k++) {
        const row = i * rows.stride + k * rows.dilation - rows.before;
        if (row < 0 || row >= rows.input) continue;
        for (let l = 0; l < columns.taps; l++) {
          // Outputs whose input column j stride + shift lies inside.
          const shift = l * columns.dilation - columns.before;
          const first = Math.max(0, Math.ceil(-shift / columns.stride));
          const end = Math.min(columns.output, Math.ceil((columns.input - shift) / columns.stride));
          const source = ((n * rows.input + row) * columns.input + first * columns.stride + shift) * inChannels;
          let target = (k * columns.taps + l) * inChannels * places + place;
          for (let c = 0; c < inChannels; c++, target += places) {
            for (let j = first, at = source + c; j < end; j++, at += move) to[target + j] = from[at]!;
          }
        }
      }
    }
  }
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

const isPointwise = ({ taps, stride, before, input, output }: Axis): boolean =>
  taps === 1 && stride === 1 && before === 0 && input === output;

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
  const fours = batch - (batch % 4);
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const source = (i * columns.input + j) * inChannels;
      const target = (i * width + j) * batch;
      for (let n = 0; n < fours; n += 4) {
        const a = source + n * image;
        const b = a + image;
        const c = b + image;
        const d = c + image;
        for (let channel = 0, at = target + n; channel < inChannels; channel++, at += plane) {
          to[at] = from[a + channel]!;
          to[at + 1] = from[b + channel]!;
          to[at + 2] = from[c + channel]!;
          to[at + 3] = from[d + channel]!;
        }
      }
      for (let n = fours; n < batch; n++) {
        const a = source + n * image;
        for (let channel = 0, at = target + n; channel < inChannels; channel++, at += plane)
          to[at] = from[a + channel]!;
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
