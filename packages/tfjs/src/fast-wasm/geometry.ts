import { backend_util, type NamedAttrMap } from "@tensorflow/tfjs-core";

/** One spatial axis of a convolution or pooling: y(j) reads x(j * stride + k * dilation - before), 0 <= k < taps. */
export interface Axis {
  readonly input: number;
  readonly output: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
}

export interface Geometry {
  readonly batch: number;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly rows: Axis;
  readonly columns: Axis;
}

type Shape = readonly number[];

/** The geometry of a convolution from its attributes. Output extents are those of `dy`, which know the rounding mode. */
export function convolutionGeometry(
  inputShape: Shape,
  filterShape: Shape,
  dyShape: Shape,
  attrs: NamedAttrMap,
  depthwise: boolean,
): Geometry {
  const info = backend_util.computeConv2DInfo(
    inputShape as [number, number, number, number],
    filterShape as [number, number, number, number],
    attrs.strides as [number, number],
    (attrs.dilations ?? 1) as [number, number] | number,
    attrs.pad as "same",
    attrs.dimRoundingMode as "floor",
    depthwise,
  );
  return fromInfo(info, dyShape);
}

/** The geometry of a pooling; `taps` are the window. */
export function poolGeometry(inputShape: Shape, dyShape: Shape, attrs: NamedAttrMap): Geometry {
  const info = backend_util.computePool2DInfo(
    inputShape as [number, number, number, number],
    attrs.filterSize as [number, number],
    attrs.strides as [number, number],
    1,
    attrs.pad as "same",
    attrs.dimRoundingMode as "floor",
  );
  return fromInfo(info, dyShape);
}

function fromInfo(info: backend_util.Conv2DInfo, dyShape: Shape): Geometry {
  return {
    batch: info.batchSize,
    inChannels: info.inChannels,
    outChannels: info.outChannels,
    rows: {
      input: info.inHeight,
      output: dyShape[1]!,
      taps: info.filterHeight,
      stride: info.strideHeight,
      dilation: info.dilationHeight,
      before: info.padInfo.top,
    },
    columns: {
      input: info.inWidth,
      output: dyShape[2]!,
      taps: info.filterWidth,
      stride: info.strideWidth,
      dilation: info.dilationWidth,
      before: info.padInfo.left,
    },
  };
}
