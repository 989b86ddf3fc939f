import type { KernelFunc, NamedAttrMap, TensorInfo } from "@tensorflow/tfjs-core";
import { type Axis, convolutionGeometry, type Geometry } from "./geometry.ts";
import { allocate, dispose, type ForwardKernels, floats, type WasmBackend } from "./heap.ts";

/** The inputs i = phase, phase + stride, ... along one axis, as a convolution of stride 1 over dy with the taps they meet. */
interface Phase {
  readonly axis: Axis;
  readonly phase: number;
  /** Inputs of this phase. */
  readonly count: number;
  /** Taps of the forward filter, in the order of the dy they meet; dy indices of neighbours differ by `spread`. */
  readonly taps: readonly number[];
  readonly spread: number;
  /** The index into dy that the first tap meets at the first input. */
  readonly first: number;
}

/**
 * Input i meets dy(j) through tap k when i + before = j stride + k dilation. Strides and dilations are not both above 1
 * in tfjs, so the taps of one phase are k, k + stride, ... (dilation 1) or all of them (stride 1), and j falls by 1 or by
 * `dilation` from tap to tap.
 */
function phasesOf(axis: Axis): Phase[] {
  const { input, taps, stride, dilation, before } = axis;
  const phases: Phase[] = [];
  for (let phase = 0; phase < Math.min(stride, input); phase++) {
    const met: number[] = [];
    for (let k = taps - 1; k >= 0; k--) if ((phase + before - k * dilation) % stride === 0) met.push(k);
    phases.push({
      axis,
      phase,
      count: Math.ceil((input - phase) / stride),
      taps: met,
      spread: met.length > 1 ? ((met[0]! - met[1]!) * dilation) / stride : 1,
      first: met.length > 0 ? (phase + before - met[0]! * dilation) / stride : 0,
    });
  }
  return phases;
}

/** DepthwiseConv2dNativeBackpropInput: the gradient of a depthwise convolution with respect to its input. */
export function depthwiseInputGradient(forward: ForwardKernels): KernelFunc {
  return (args) => {
    const attrs = args.attrs as NamedAttrMap;
    const backend = args.backend as WasmBackend;
    const dy = args.inputs.dy!;
    const filter = args.inputs.filter!;
    const inputShape = attrs.inputShape as number[];
    const shape = inputShape.length === 3 ? [1, ...inputShape] : inputShape;
    const geometry = convolutionGeometry(shape, filter.shape, dy.shape, attrs, true);
    const dx = allocate(backend, shape);
    floats(backend, dx).fill(0);
    for (const rows of phasesOf(geometry.rows)) {
      for (const columns of phasesOf(geometry.columns)) {
        if (rows.taps.length === 0 || columns.taps.length === 0) continue;
        const part = convolvePhase(forward, backend, dy, filter, rows, columns, geometry);
        addPhase(floats(backend, part), part.shape, floats(backend, dx), rows, columns, geometry);
        dispose(backend, part);
      }
    }
    return dx;
  };
}

/** The gradient at the inputs of one phase, still one plane for each output channel. */
function convolvePhase(
  forward: ForwardKernels,
  backend: WasmBackend,
  dy: TensorInfo,
  filter: TensorInfo,
  rows: Phase,
  columns: Phase,
  { outChannels }: Geometry,
): TensorInfo {
  // [kh, kw, in, multiplier] read as [kh, kw, out]: channel c multiplier + m of dy has one filter of its own.
  const weights = allocate(backend, [rows.taps.length, columns.taps.length, outChannels, 1]);
  const from = floats(backend, filter);
  const to = floats(backend, weights);
  let at = 0;
  for (const k of rows.taps) {
    for (const l of columns.taps) {
      const start = (k * columns.axis.taps + l) * outChannels;
      to.set(from.subarray(start, start + outChannels), at);
      at += outChannels;
    }
  }
  const result = forward.depthwiseConv2d({
    inputs: { x: dy, filter: weights },
    backend,
    attrs: {
      strides: [1, 1],
      dilations: [rows.spread, columns.spread],
      pad: [[0, 0], padding(rows), padding(columns), [0, 0]] as unknown as number[],
    },
  }) as TensorInfo;
  dispose(backend, weights);
  return result;
}

/** So much padding that output 0 begins at or before `first`, and the last at or after its place. */
function padding({ axis, count, taps, spread, first }: Phase): [before: number, after: number] {
  const last = first + count - 1 + (taps.length - 1) * spread;
  return [Math.max(0, -first), Math.max(0, last - (axis.output - 1))];
}

/** Adds the planes of each input channel together, into every stride-th row and column of dx. */
function addPhase(
  from: Float32Array,
  shape: readonly number[],
  to: Float32Array,
  rows: Phase,
  columns: Phase,
  { batch, inChannels, outChannels }: Geometry,
): void {
  const [, height, width] = shape as [number, number, number];
  const multiplier = outChannels / inChannels;
  // With more padding than taps dy(0) already meets nothing, and the first outputs are passed over.
  const skipRows = Math.max(0, rows.first);
  const skipColumns = Math.max(0, columns.first);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows.count; i++) {
      const row = n * rows.axis.input + rows.phase + i * rows.axis.stride;
      for (let j = 0; j < columns.count; j++) {
        let at = (row * columns.axis.input + columns.phase + j * columns.axis.stride) * inChannels;
        let source = ((n * height + i + skipRows) * width + j + skipColumns) * outChannels;
        for (let c = 0; c < inChannels; c++) {
          let sum = from[source++]!;
          for (let m = 1; m < multiplier; m++) sum += from[source++]!;
          to[at++] = sum;
        }
      }
    }
  }
}

/** DepthwiseConv2dNativeBackpropFilter: the gradient of a depthwise convolution with respect to its filter. */
export const depthwiseFilterGradient: KernelFunc = (args) => {
  const attrs = args.attrs as NamedAttrMap;
  const backend = args.backend as WasmBackend;
  const x = args.inputs.x!;
  const dy = args.inputs.dy!;
  const filterShape = attrs.filterShape as number[];
  const geometry = convolutionGeometry(x.shape, filterShape, dy.shape, attrs, true);
  const { rows, columns, outChannels } = geometry;
  const result = allocate(backend, filterShape);
  const to = floats(backend, result);
  const from = floats(backend, x);
  const dys = floats(backend, dy);
  for (let k = 0; k < rows.taps; k++) {
    for (let l = 0; l < columns.taps; l++) {
      to.set(correlate(from, dys, geometry, k, l), (k * columns.taps + l) * outChannels);
    }
  }
  return result;
};

/** The sum over images and outputs of x times dy for one tap, channel by channel. */
function correlate(x: Float32Array, dy: Float32Array, geometry: Geometry, k: number, l: number): Float64Array {
  const { batch, inChannels, outChannels, rows, columns } = geometry;
  const sums = new Float64Array(outChannels);
  // Outputs whose input column j stride + shift lies inside.
  const shift = l * columns.dilation - columns.before;
  const first = Math.max(0, Math.ceil(-shift / columns.stride));
  const end = Math.min(columns.output, Math.ceil((columns.input - shift) / columns.stride));
  const sum = outChannels === inChannels ? addRow : addWiderRow;
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows.output; i++) {
      const row = i * rows.stride + k * rows.dilation - rows.before;
      if (row < 0 || row >= rows.input) continue;
      const source = ((n * rows.input + row) * columns.input + first * columns.stride + shift) * inChannels;
      const at = ((n * rows.output + i) * columns.output + first) * outChannels;
      sum(sums, x, source, columns.stride * inChannels, dy, at, end - first, inChannels);
    }
  }
  return sums;
}

/** Adds one row of outputs, four channels at a time, so that their sums stay in registers along the row. */
function addRow(
  sums: Float64Array,
  x: Float32Array,
  source: number,
  step: number,
  dy: Float32Array,
  at: number,
  count: number,
  channels: number,
): void {
  const fours = channels - (channels % 4);
  for (let c = 0; c < fours; c += 4) {
    let [a, b, d, e] = [0, 0, 0, 0];
    for (let j = 0, p = source + c, q = at + c; j < count; j++, p += step, q += channels) {
      a += x[p]! * dy[q]!;
      b += x[p + 1]! * dy[q + 1]!;
      d += x[p + 2]! * dy[q + 2]!;
      e += x[p + 3]! * dy[q + 3]!;
    }
    sums[c] = sums[c]! + a;
    sums[c + 1] = sums[c + 1]! + b;
    sums[c + 2] = sums[c + 2]! + d;
    sums[c + 3] = sums[c + 3]! + e;
  }
  for (let c = fours; c < channels; c++) {
    let a = 0;
    for (let j = 0, p = source + c, q = at + c; j < count; j++, p += step, q += channels) a += x[p]! * dy[q]!;
    sums[c] = sums[c]! + a;
  }
}

/** The same where each input channel has several output channels, which follow each other. */
function addWiderRow(
  sums: Float64Array,
  x: Float32Array,
  source: number,
  step: number,
  dy: Float32Array,
  at: number,
  count: number,
  channels: number,
): void {
  const multiplier = sums.length / channels;
  for (let j = 0, p = source, q = at; j < count; j++, p += step) {
    for (let c = 0, i = 0; c < channels; c++) {
      const value = x[p + c]!;
      for (const end = i + multiplier; i < end; i++) sums[i] = sums[i]! + value * dy[q++]!;
    }
  }
}
