import type { Derivative, Derivatives } from "../derivative.ts";
import { attribute } from "../graph.ts";
import { type Context, elementCode, isFloat, scalar, unary } from "./shared.ts";

const op =
  (name: string) =>
  (c: Context, ...inputs: string[]): string =>
    c.b.add(name, inputs);
const mul = op("Mul");
const div = op("Div");
const add = op("Add");
const sub = op("Sub");
const neg = op("Neg");

const square = (c: Context, x: string): string => mul(c, x, x);

// y = cast(x): dx = cast(dy) between float types
const cast: Derivative = (c, [dy]) => {
  const { dtype } = c.type(c.node.inputs[0]!);
  if (dy === undefined || !isFloat(dtype) || !isFloat(c.type(c.node.outputs[0]!).dtype)) return [undefined];
  if (dtype === c.type(c.node.outputs[0]!).dtype) return [dy];
  return [c.b.add("Cast", [dy], { to: attribute.int(elementCode(dtype)) })];
};

/** Functions of one number. */
export const elementary: Derivatives = {
  Identity: unary((_, dy) => dy),
  Cast: cast,
  CastLike: cast,
  // dy e^x
  Exp: unary((c, dy, _, y) => mul(c, dy, y)),
  // dy / x
  Log: unary((c, dy, x) => div(c, dy, x)),
  // dy / (2 sqrt(x))
  Sqrt: unary((c, dy, x, y) => div(c, mul(c, dy, scalar(c, x, 0.5)), y)),
  // dy sign(x), 0 at 0
  Abs: unary((c, dy, x) => mul(c, dy, c.b.add("Sign", [x]))),
  // -dy / x^2
  Reciprocal: unary((c, dy, _, y) => neg(c, mul(c, dy, square(c, y)))),
  // dy cos(x)
  Sin: unary((c, dy, x) => mul(c, dy, c.b.add("Cos", [x]))),
  // -dy sin(x)
  Cos: unary((c, dy, x) => neg(c, mul(c, dy, c.b.add("Sin", [x])))),
  // dy (1 + tan(x)^2)
  Tan: unary((c, dy, x, y) => mul(c, dy, add(c, square(c, y), scalar(c, x, 1)))),
  // dy / sqrt(1 - x^2)
  Asin: unary((c, dy, x) => div(c, dy, c.b.add("Sqrt", [sub(c, scalar(c, x, 1), square(c, x))]))),
  // -dy / sqrt(1 - x^2)
  Acos: unary((c, dy, x) => neg(c, div(c, dy, c.b.add("Sqrt", [sub(c, scalar(c, x, 1), square(c, x))])))),
  // dy / (1 + x^2)
  Atan: unary((c, dy, x) => div(c, dy, add(c, square(c, x), scalar(c, x, 1)))),
  // dy cosh(x)
  Sinh: unary((c, dy, x) => mul(c, dy, c.b.add("Cosh", [x]))),
  // dy sinh(x)
  Cosh: unary((c, dy, x) => mul(c, dy, c.b.add("Sinh", [x]))),
  // dy (1 - tanh(x)^2)
  Tanh: unary((c, dy, x, y) => mul(c, dy, sub(c, scalar(c, x, 1), square(c, y)))),
  // dy / sqrt(x^2 + 1)
  Asinh: unary((c, dy, x) => div(c, dy, c.b.add("Sqrt", [add(c, square(c, x), scalar(c, x, 1))]))),
  // dy / sqrt(x^2 - 1)
  Acosh: unary((c, dy, x) => div(c, dy, c.b.add("Sqrt", [sub(c, square(c, x), scalar(c, x, 1))]))),
  // dy / (1 - x^2)
  Atanh: unary((c, dy, x) => div(c, dy, sub(c, scalar(c, x, 1), square(c, x)))),
  // dy 2 / sqrt(pi) e^(-x^2)
  Erf: unary((c, dy, x) =>
    mul(c, mul(c, dy, scalar(c, x, 2 / Math.sqrt(Math.PI))), c.b.add("Exp", [neg(c, square(c, x))])),
  ),
  // dy y (1 - y)
  Sigmoid: unary((c, dy, x, y) => mul(c, mul(c, dy, y), sub(c, scalar(c, x, 1), y))),
};
