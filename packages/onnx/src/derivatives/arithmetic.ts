import type { Derivatives } from "../derivative.ts";
import { type Context, isFloat, numbersOf, refuse, scalar, toFloat, unary, unbroadcast } from "./shared.ts";

/** Operators of numbers, with broadcasting. */
export const arithmetic: Derivatives = {
  // y = a + b: da = dy, db = dy
  Add: (c, [dy]) => c.node.inputs.map((x, i) => (c.needs(i) ? unbroadcast(c, dy!, x) : undefined)),

  // y = a - b: da = dy, db = -dy
  Sub: (c, [dy]) => {
    const [a, b] = c.node.inputs as [string, string];
    return [
      c.needs(0) ? unbroadcast(c, dy!, a) : undefined,
      c.needs(1) ? c.b.add("Neg", [unbroadcast(c, dy!, b)]) : undefined,
    ];
  },

  // y = a b: da = dy b, db = dy a
  Mul: (c, [dy]) => {
    const [a, b] = c.node.inputs as [string, string];
    const da = c.needs(0) ? unbroadcast(c, c.b.add("Mul", [dy!, b]), a) : undefined;
    if (a === b) return [da, da];
    return [da, c.needs(1) ? unbroadcast(c, c.b.add("Mul", [dy!, a]), b) : undefined];
  },

  // y = a / b: da = dy / b, db = -(dy / b) y
  Div: (c, [dy]) => {
    const [a, b] = c.node.inputs as [string, string];
    const quotient = c.b.add("Div", [dy!, b]);
    const y = c.node.outputs[0]!;
    return [
      c.needs(0) ? unbroadcast(c, quotient, a) : undefined,
      c.needs(1) ? c.b.add("Neg", [unbroadcast(c, c.b.add("Mul", [quotient, y]), b)]) : undefined,
    ];
  },

  // y = a - b trunc(a / b), the only remainder of floats: da = dy, db = dy (y - a) / b
  Mod: (c, [dy]) => {
    const [a, b] = c.node.inputs as [string, string];
    const times = (): string => c.b.add("Div", [c.b.add("Sub", [c.node.outputs[0]!, a]), b]);
    return [
      c.needs(0) ? unbroadcast(c, dy!, a) : undefined,
      c.needs(1) ? unbroadcast(c, c.b.add("Mul", [dy!, times()]), b) : undefined,
    ];
  },

  // y = -x: dx = -dy
  Neg: unary((c, dy) => c.b.add("Neg", [dy])),

  // y = x^p: dx = dy p x^(p-1), dp = dy y log x, which are 0 where p is 0 and where x is 0
  Pow: (c, [dy]) => {
    const [x, p] = c.node.inputs as [string, string];
    const y = c.node.outputs[0]!;
    return [
      c.needs(0) ? unbroadcast(c, powerBase(c, dy!, x, p, y), x) : undefined,
      c.needs(1) && isFloat(c.type(p).dtype) ? unbroadcast(c, powerExponent(c, dy!, x, y), p) : undefined,
    ];
  },

  // y = x1 + ... + xn: dxi = dy
  Sum: (c, [dy]) => c.node.inputs.map((x, i) => (c.needs(i) ? unbroadcast(c, dy!, x) : undefined)),

  // y = (x1 + ... + xn) / n: dxi = dy / n
  Mean: (c, [dy]) => {
    const share = c.b.add("Mul", [dy!, scalar(c, c.node.outputs[0]!, 1 / c.node.inputs.length)]);
    return c.node.inputs.map((x, i) => (c.needs(i) ? unbroadcast(c, share, x) : undefined));
  },

  Max: (c, [dy]) => extremum(c, dy!, "Greater"),
  Min: (c, [dy]) => extremum(c, dy!, "Less"),
};

/** y = max(x1, ..., xn): dxi = dy where xi = y, shared evenly among those that are. */
function extremum(c: Context, dy: string, wins: "Greater" | "Less"): readonly (string | undefined)[] {
  const { inputs, outputs } = c.node;
  const [a, b] = inputs as [string, string];
  if (inputs.length === 1) return [dy];
  if (inputs.length === 2) {
    const tie = c.b.add("Where", [c.b.add("Equal", [a, b]), c.b.add("Mul", [dy, scalar(c, a, 0.5)]), scalar(c, a, 0)]);
    const share = (one: string, other: string): string =>
      unbroadcast(c, c.b.add("Where", [c.b.add(wins, [one, other]), dy, tie]), one);
    return [c.needs(0) ? share(a, b) : undefined, c.needs(1) ? share(b, a) : undefined];
  }
  const masks = inputs.map((x) => toFloat(c, c.b.add("Equal", [x, outputs[0]!]), x));
  const share = c.b.add("Div", [dy, c.b.add("Sum", masks)]);
  return inputs.map((x, i) => (c.needs(i) ? unbroadcast(c, c.b.add("Mul", [share, masks[i]!]), x) : undefined));
}

function powerBase(c: Context, dy: string, x: string, p: string, y: string): string {
  const tensor = c.constant(p);
  const mul = (a: string, b: string): string => c.b.add("Mul", [a, b]);
  const exponents = tensor === undefined ? undefined : numbersOf(tensor);
  if (exponents?.length === 1) {
    const exponent = exponents[0]!;
    if (exponent === 1) return dy;
    const scaled = mul(dy, scalar(c, x, exponent));
    if (exponent === 0.5) return c.b.add("Div", [scaled, y]);
    if (exponent === -1) return mul(scaled, mul(y, y));
    if (exponent === 0) return scaled;
    if (exponent === 2) return mul(scaled, x);
    if (exponent === 3) return mul(scaled, mul(x, x));
    return mul(scaled, c.b.add("Pow", [x, scalar(c, x, exponent - 1)]));
  }
  const { dtype } = c.type(p);
  if (tensor === undefined && !isFloat(dtype) && !isFloat(c.type(x).dtype)) refuse(c, "its base is an integer");
  const exponent = dtype === c.type(x).dtype ? p : toFloat(c, p, x);
  const less = c.b.add("Sub", [exponent, scalar(c, x, 1)]);
  const slope = mul(mul(dy, exponent), c.b.add("Pow", [x, less]));
  if (exponents !== undefined && !exponents.includes(0)) return slope;
  return c.b.add("Where", [c.b.add("Equal", [exponent, scalar(c, x, 0)]), scalar(c, x, 0), slope]);
}

function powerExponent(c: Context, dy: string, x: string, y: string): string {
  const base = c.b.add("Where", [c.b.add("Equal", [x, scalar(c, x, 0)]), scalar(c, x, 1), x]);
  return c.b.add("Mul", [dy, c.b.add("Mul", [y, c.b.add("Log", [base])])]);
}
