import type { Derivative, Derivatives } from "../derivative.ts";
import { attribute, float, int } from "../graph.ts";
import { channels } from "./conv-geometry.ts";
import {
  type Context,
  elementCode,
  numbersOf,
  range,
  rankOf,
  reduceMean,
  reduceSum,
  scalar,
  shapeOf,
  zerosLike,
} from "./shared.ts";

/** A value for each channel as [channels, 1, ...], to be broadcast over x. */
function perChannel(c: Context, value: string): string {
  const rank = rankOf(c, c.node.inputs[0]!);
  return c.b.add("Reshape", [value, c.b.int64([-1, ...range(2, rank).map(() => 1)])]);
}

/**
 * y = (x - mean) r scale + bias with r = (variance + epsilon)^(-1/2) of running statistics: dx = dy r scale;
 * dscale = sum dy (x - mean) r; dbias = sum dy; dmean = -r scale dbias; dvariance = -r^2 scale dscale / 2.
 */
function inference(c: Context, dy: string): (string | undefined)[] {
  const [x, scale, , mean, variance] = c.node.inputs as [string, string, string, string, string];
  const { b } = c;
  const axes = others(c);
  const [wantScale, wantBias] = [c.needs(1) || c.needs(4), c.needs(2) || c.needs(3)];
  const factor = (): string => b.add("Mul", [scale, inverse(c, variance)]);
  const dx = c.needs(0) ? b.add("Mul", [dy, constantFactor(c) ?? perChannel(c, factor())]) : undefined;
  const dbias = wantBias ? reduceSum(c, dy, axes, false) : undefined;
  const dmean = c.needs(3) ? b.add("Neg", [b.add("Mul", [factor(), dbias!])]) : undefined;
  if (!wantScale) return [dx, undefined, c.needs(2) ? dbias : undefined, dmean];
  const centred = b.add("Sub", [x, perChannel(c, mean)]);
  const r = inverse(c, variance);
  const dscale = b.add("Mul", [reduceSum(c, b.add("Mul", [dy, centred]), axes, false), r]);
  const dvariance = c.needs(4)
    ? b.add("Mul", [b.add("Mul", [b.add("Mul", [r, r]), scalar(c, x, -0.5)]), b.add("Mul", [scale, dscale])])
    : undefined;
  return [dx, c.needs(1) ? dscale : undefined, c.needs(2) ? dbias : undefined, dmean, dvariance];
}

const epsilon = (c: Context): number => float(c.node, "epsilon", 1e-5);

const others = (c: Context): number[] => [0, ...range(2, rankOf(c, c.node.inputs[0]!))];

/** r = (variance + epsilon)^(-1/2). */
const inverse = (c: Context, variance: string): string =>
  c.b.add("Reciprocal", [c.b.add("Sqrt", [c.b.add("Add", [variance, scalar(c, c.node.inputs[0]!, epsilon(c))])])]);

/** scale r, known beforehand where scale and variance are: dx is one product then. */
function constantFactor(c: Context): string | undefined {
  const x = c.node.inputs[0]!;
  const [scale, variance] = [c.constant(c.node.inputs[1]!), c.constant(c.node.inputs[4]!)];
  if (scale?.dtype !== "float32" || variance?.dtype !== "float32") return undefined;
  const spread = numbersOf(variance);
  const data = Float32Array.from(numbersOf(scale), (s, i) => s / Math.sqrt(spread[i]! + epsilon(c)));
  return c.b.constant({ dtype: "float32", shape: [data.length, ...range(2, rankOf(c, x)).map(() => 1)], data });
}

/**
 * Over the batch's own mean and (biased) variance, with c = x - mean and r = (variance + epsilon)^(-1/2), means over the
 * entries of a channel: dx = r scale (dy - mean(dy)) - r^3 scale mean(dy c) c; dscale = r sum dy c; dbias = sum dy.
 */
function training(c: Context, dy: string, centred: string, variance: string): (string | undefined)[] {
  const { b } = c;
  const axes = others(c);
  const r = inverse(c, variance);
  const along = b.add("Mul", [dy, centred]);
  const dx = (): string => {
    const factor = b.add("Mul", [r, perChannel(c, c.node.inputs[1]!)]);
    const bend = b.add("Mul", [b.add("Mul", [r, r]), reduceMean(c, along, axes)]);
    const free = b.add("Sub", [b.add("Sub", [dy, reduceMean(c, dy, axes)]), b.add("Mul", [centred, bend])]);
    return b.add("Mul", [free, factor]);
  };
  const dscale = (): string => b.add("Mul", [reduceSum(c, along, axes, false), b.add("Reshape", [r, b.int64([-1])])]);
  return [
    c.needs(0) ? dx() : undefined,
    c.needs(1) ? dscale() : undefined,
    c.needs(2) ? reduceSum(c, dy, axes, false) : undefined,
  ];
}

/** The batch's mean and variance: outputs of the node where nothing of the old statistics is kept. */
function statistics(c: Context): { mean: string; variance: (centred: string) => string } {
  const [, mean = "", variance = ""] = c.node.outputs;
  const axes = others(c);
  if (momentum(c) === 0 && mean !== "" && variance !== "") {
    return { mean: perChannel(c, mean), variance: () => perChannel(c, variance) };
  }
  return {
    mean: reduceMean(c, c.node.inputs[0]!, axes),
    variance: (centred) => reduceMean(c, c.b.add("Mul", [centred, centred]), axes),
  };
}

/**
 * The new running statistics, momentum old + (1 - momentum) batch's: dx = (1 - momentum) (dmean + 2 (x - mean) dvariance)
 * / m over m entries a channel; momentum dmean and momentum dvariance for the old ones.
 */
function running(c: Context, dmean: string | undefined, dvariance: string | undefined, centred: string): string {
  const { b } = c;
  const x = c.node.inputs[0]!;
  const size = b.add("Cast", [b.add("Size", [x])], { to: attribute.int(elementCode(c.type(x).dtype)) });
  const lanes = channels(c, shapeOf(c, x)) * (1 - momentum(c));
  const share = b.add("Div", [scalar(c, x, lanes), size]);
  const part = (cotangent: string): string => b.add("Mul", [perChannel(c, cotangent), share]);
  const twice = (): string => b.add("Mul", [centred, scalar(c, x, 2)]);
  const bent = dvariance === undefined ? zerosLike(c, x) : b.add("Mul", [twice(), part(dvariance)]);
  return dmean === undefined ? bent : b.add("Add", [bent, part(dmean)]);
}

const momentum = (c: Context): number => float(c.node, "momentum", 0.9);

const derivative: Derivative = (c, [dy, dmean, dvariance]) => {
  if (int(c.node, "training_mode", 0) === 0) return dy === undefined ? [] : inference(c, dy);
  const x = c.node.inputs[0]!;
  const { mean, variance } = statistics(c);
  const centred = c.b.add("Sub", [x, mean]);
  const [dx, dscale, dbias] = dy === undefined ? [] : training(c, dy, centred, variance(centred));
  const moved = c.needs(0) && (dmean ?? dvariance) !== undefined ? running(c, dmean, dvariance, centred) : undefined;
  const kept = (i: number, cotangent: string | undefined): string | undefined =>
    cotangent === undefined || !c.needs(i) ? undefined : c.b.add("Mul", [cotangent, scalar(c, x, momentum(c))]);
  const both = dx === undefined || moved === undefined ? (dx ?? moved) : c.b.add("Add", [dx, moved]);
  return [both, dscale, dbias, kept(3, dmean), kept(4, dvariance)];
};

export const batchNorm: Derivatives = { BatchNormalization: derivative };
