import type { KernelFunc, NamedAttrMap, TensorInfo } from "@tensorflow/tfjs-core";
import { type Axis, convolutionGeometry, type Geometry } from "./geometry.ts";
import { allocate, dispose, type ForwardKernels, floats, type WasmBackend } from "./heap.ts";

/** A transposed convolution along one axis, as an ordinary strided one that yields `block` neighbours at a time. */
export interface Plan {
  readonly axis: Axis;
  /** Input positions per step: a multiple of the forward stride. */
  readonly block: number;
  /** The stride over `dy`: block / forward stride. */
  readonly step: number;
  /** Taps of the new filter, and the offset into `dy` of the first. */
  readonly taps: number;
  readonly firstTap: number;
  /** Steps, and the padding of `dy` that makes exactly so many. */
  readonly steps: number;
  readonly before: number;
  readonly after: number;
  /** Where, within the first block, the input begins. */
  readonly lead: number;
}

/**
 * Let u = i + before be a place in the padded input. dx(u) is the sum over k of w(k) dy((u - k dilation) / stride), for
 * those k that divide. With u = block q + r and block = stride step, the index into dy is step q + (r - k dilation) /
 * stride: for each residue r a small dense filter that moves by `step` as q moves by 1. No zeros are stuffed into dy.
 */
function planAxis(axis: Axis, step: number): Plan {
  const { input, output, taps, stride, dilation, before } = axis;
  const block = stride * step;
  let first = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (let r = 0; r < block; r++) {
    for (let k = 0; k < taps; k++) {
      const offset = (r - k * dilation) / stride;
      if (!Number.isInteger(offset)) continue;
      first = Math.min(first, offset);
      last = Math.max(last, offset);
    }
  }
  // The first block holds u = before, but begins no later than where the filter still touches dy(0): negative padding
  // does not exist, so blocks that are dropped afterwards take its place.
  const start = Math.min(Math.floor(before / block), Math.floor(-first / step));
  const lead = before - block * start;
  const steps = Math.ceil((lead + input) / block);
  const after = Math.max(0, step * (start + steps - 1) + last - (output - 1));
  return {
    axis,
    block,
    step,
    taps: last - first + 1,
    firstTap: first,
    steps,
    before: -(step * start + first),
    after,
    lead,
  };
}

/** The cheaper steps for the rows and the columns. XNNPACK computes output channels by eights, whether needed or not. */
function choosePlans(geometry: Geometry): [rows: Plan, columns: Plan] {
  const { rows, columns, inChannels, outChannels } = geometry;
  // A multiplication and addition in XNNPACK takes 0.07 ns here, an element moved by the interleaving about 1 ns.
  const moved = 14 * rows.input * columns.input * inChannels;
  let best: [Plan, Plan] | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const rowStep of [1, 2, 4]) {
    for (const columnStep of [1, 2, 4]) {
      const r = planAxis(rows, rowStep);
      const c = planAxis(columns, columnStep);
      const channels = 8 * Math.ceil((r.block * c.block * inChannels) / 8);
      const products = r.steps * c.steps * r.taps * c.taps * outChannels * channels;
      const cost = products + (isDirect(r) && isDirect(c) ? 0 : moved);
      if (cost < least) {
        least = cost;
        best = [r, c];
      }
    }
  }
  return best!;
}

const isDirect = (plan: Plan): boolean => plan.block === 1 && plan.lead === 0 && plan.steps === plan.axis.input;

/** Conv2DBackpropInput: the gradient of a convolution with respect to its input. */
export function conv2dInputGradient(forward: ForwardKernels, stock: KernelFunc): KernelFunc {
  return (args) => {
    const attrs = args.attrs as NamedAttrMap;
    if (attrs.dataFormat === "NCHW") return stock(args);
    const backend = args.backend as WasmBackend;
    const dy = args.inputs.dy!;
    const filter = args.inputs.filter!;
    const geometry = convolutionGeometry(attrs.inputShape as number[], filter.shape, dy.shape, attrs, false);
    const [rows, columns] = choosePlans(geometry);
    const weights = rearrangeFilter(backend, filter, rows, columns, geometry);
    const blocks = forward.conv2d({
      inputs: { x: dy, filter: weights },
      backend,
      attrs: {
        strides: [rows.step, columns.step],
        dilations: 1,
        pad: [
          [0, 0],
          [rows.before, rows.after],
          [columns.before, columns.after],
          [0, 0],
        ] as unknown as number[],
        dataFormat: "NHWC",
      },
    }) as TensorInfo;
    dispose(backend, weights);
    if (isDirect(rows) && isDirect(columns) && blocks.shape[1] === rows.steps && blocks.shape[2] === columns.steps) {
      return blocks;
    }
    const dx = allocate(backend, [geometry.batch, rows.axis.input, columns.axis.input, geometry.inChannels]);
    interleave(floats(backend, blocks), floats(backend, dx), blocks.shape, rows, columns, geometry);
    dispose(backend, blocks);
    return dx;
  };
}

/** w [kh, kw, in, out] to [taps, taps, out, block, block, in]: tap t of residue r is k = (r - stride (t + first)) / dilation. */
function rearrangeFilter(
  backend: WasmBackend,
  filter: TensorInfo,
  rows: Plan,
  columns: Plan,
  { inChannels, outChannels }: Geometry,
): TensorInfo {
  const blockSize = rows.block * columns.block * inChannels;
  const result = allocate(backend, [rows.taps, columns.taps, outChannels, blockSize]);
  const from = floats(backend, filter);
  const to = floats(backend, result);
  to.fill(0);
  for (const [r, k, t] of placements(rows)) {
    for (const [rc, kc, tc] of placements(columns)) {
      const source = (k * columns.axis.taps + kc) * inChannels * outChannels;
      const target = (t * columns.taps + tc) * outChannels * blockSize + (r * columns.block + rc) * inChannels;
      for (let o = 0; o < outChannels; o++) {
        let at = target + o * blockSize;
        for (let i = source + o, end = i + inChannels * outChannels; i < end; i += outChannels) to[at++] = from[i]!;
      }
    }
  }
  return result;
}

/** Every (residue, tap of the forward filter, tap of the new filter) that belong together. */
function* placements({ axis, block, firstTap }: Plan): Generator<[residue: number, k: number, t: number]> {
  for (let r = 0; r < block; r++) {
    for (let k = 0; k < axis.taps; k++) {
      const offset = (r - k * axis.dilation) / axis.stride;
      if (Number.isInteger(offset)) yield [r, k, offset - firstTap];
    }
  }
}

/** [batch, steps, steps, block, block, channels] to [batch, height, width, channels], without what lies in the padding. */
function interleave(
  from: Float32Array,
  to: Float32Array,
  shape: readonly number[],
  rows: Plan,
  columns: Plan,
  { batch, inChannels }: Geometry,
): void {
  const [, height, width, blockSize] = shape as [number, number, number, number];
  const run = columns.block * inChannels;
  const skip = columns.lead * inChannels;
  const rowLength = columns.axis.input * inChannels;
  let at = 0;
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < rows.axis.input; i++) {
      const u = i + rows.lead;
      const q = Math.floor(u / rows.block);
      const base = (n * height + q) * width * blockSize + (u - q * rows.block) * run;
      const end = at + rowLength;
      let block = base + Math.floor(skip / run) * blockSize;
      let within = skip % run;
      while (at < end) {
        const stop = Math.min(end, at + run - within);
        let source = block + within;
        while (at < stop) to[at++] = from[source++]!;
        within = 0;
        block += blockSize;
      }
    }
  }
}
