import type { Derivatives } from "../derivative.ts";
import { attribute, float, string } from "../graph.ts";
import { type Context, has, scalar, toFloat, unary, unbroadcast } from "./shared.ts";

const op =
  (name: string) =>
  (c: Context, ...inputs: string[]): string =>
    c.b.add(name, inputs);
const mul = op("Mul");
const add = op("Add");
const sub = op("Sub");
const where = op("Where");
const greater = op("Greater");

const times = (c: Context, x: string, factor: number): string =>
  factor === 1 ? x : mul(c, x, scalar(c, c.node.inputs[0]!, factor));
const plus = (c: Context, x: string, term: number): string =>
  term === 0 ? x : add(c, x, scalar(c, c.node.inputs[0]!, term));
const constant = (c: Context, value: number): string => scalar(c, c.node.inputs[0]!, value);
const oneMinus = (c: Context, x: string): string => sub(c, constant(c, 1), x);

/** dy times 1 or 0. */
const masked = (c: Context, dy: string, mask: string): string => mul(c, dy, toFloat(c, mask, c.node.inputs[0]!));

/** dy (x > 0 ? above : below), where `below` is a value. */
const slopes = (c: Context, dy: string, x: string, above: number, below: string): string =>
  mul(c, dy, where(c, greater(c, x, constant(c, 0)), constant(c, above), below));

/** Activation functions and other choices between branches; slopes at kinks as PyTorch takes them. */
export const activations: Derivatives = {
  // dy [y > 0]; y is never negative, so its truth is the mask: one pass less than a comparison with a scalar, measured
  Relu: unary((c, dy, _, y) => masked(c, dy, c.b.add("Cast", [y], { to: attribute.int(9) }))),
  // dy (x > 0 ? 1 : alpha)
  LeakyRelu: unary((c, dy, x) => slopes(c, dy, x, 1, constant(c, float(c.node, "alpha", 0.01)))),
  // dx = dy (x > 0 ? 1 : s), ds = dy min(x, 0)
  PRelu: (c, [dy]) => {
    const [x, s] = c.node.inputs as [string, string];
    const ds = (): string => {
      const below = c.b.add("Neg", [c.b.add("Relu", [c.b.add("Neg", [x])])]);
      return unbroadcast(c, mul(c, dy!, below), s);
    };
    return [c.needs(0) ? slopes(c, dy!, x, 1, s) : undefined, c.needs(1) ? ds() : undefined];
  },
  // dy (x > 0 ? 1 : y + alpha)
  Elu: unary((c, dy, x, y) => slopes(c, dy, x, 1, plus(c, y, float(c.node, "alpha", 1)))),
  // dy (x > 0 ? gamma : y + gamma alpha)
  Selu: unary((c, dy, x, y) => {
    const gamma = float(c.node, "gamma", 1.0507009873554805);
    return slopes(c, dy, x, gamma, plus(c, y, gamma * float(c.node, "alpha", 1.6732632423543772)));
  }),
  // dy (x > 0 ? 1 : y / alpha + 1)
  Celu: unary((c, dy, x, y) => slopes(c, dy, x, 1, plus(c, times(c, y, 1 / float(c.node, "alpha", 1)), 1))),
  Gelu: unary((c, dy, x) => (string(c.node, "approximate", "none") === "tanh" ? geluTanh : geluErf)(c, dy, x)),
  // dy (x < -3 ? 0 : x > 3 ? 1 : x / 3 + 1 / 2)
  HardSwish: unary((c, dy, x) => {
    const middle = plus(c, times(c, x, 1 / 3), 0.5);
    const upper = where(c, greater(c, x, constant(c, 3)), constant(c, 1), middle);
    return mul(c, dy, where(c, c.b.add("Less", [x, constant(c, -3)]), constant(c, 0), upper));
  }),
  // dy alpha [0 < y < 1], as the sign of y (1 - y)
  HardSigmoid: unary((c, dy, _, y) => {
    const inside = c.b.add("Sign", [mul(c, y, oneMinus(c, y))]);
    return mul(c, times(c, dy, float(c.node, "alpha", 0.2)), inside);
  }),
  // dy sigmoid(x)
  Softplus: unary((c, dy, x) => mul(c, dy, c.b.add("Sigmoid", [x]))),
  // dy / (1 + |x|)^2
  Softsign: unary((c, dy, x) => {
    const denominator = plus(c, c.b.add("Abs", [x]), 1);
    return c.b.add("Div", [dy, mul(c, denominator, denominator)]);
  }),
  // dy (t + x (1 - t^2) sigmoid(x)), t = tanh(softplus(x))
  Mish: unary((c, dy, x) => {
    const t = c.b.add("Tanh", [c.b.add("Softplus", [x])]);
    const bend = mul(c, mul(c, x, c.b.add("Sigmoid", [x])), oneMinus(c, mul(c, t, t)));
    return mul(c, dy, add(c, t, bend));
  }),
  // dy (s + alpha y (1 - s)), s = sigmoid(alpha x)
  Swish: unary((c, dy, x, y) => {
    const alpha = float(c.node, "alpha", 1);
    const s = c.b.add("Sigmoid", [times(c, x, alpha)]);
    return mul(c, dy, add(c, s, mul(c, times(c, y, alpha), oneMinus(c, s))));
  }),
  // dy [x > alpha]
  ThresholdedRelu: unary((c, dy, x) => masked(c, dy, greater(c, x, constant(c, float(c.node, "alpha", 1))))),
  // dx = dy [y = x], which is within the bounds, included; a bound takes what is beyond it, the upper one where they cross
  Clip: (c, [dy]) => {
    const [x, lower = "", upper = ""] = c.node.inputs as [string, string?, string?];
    const y = c.node.outputs[0]!;
    const dLower = (): string => {
      const beyond = c.b.add("Less", [x, lower]);
      const mask = has(c, 2) ? c.b.add("And", [beyond, c.b.add("Equal", [y, lower])]) : beyond;
      return unbroadcast(c, masked(c, dy!, mask), lower);
    };
    const dUpper = (): string => {
      const raised = has(c, 1) ? c.b.add("Max", [x, lower]) : x;
      return unbroadcast(c, masked(c, dy!, greater(c, raised, upper)), upper);
    };
    return [
      c.needs(0) ? masked(c, dy!, c.b.add("Equal", [x, y])) : undefined,
      has(c, 1) && c.needs(1) ? dLower() : undefined,
      has(c, 2) && c.needs(2) ? dUpper() : undefined,
    ];
  },
  // da = dy where the condition holds, db = dy where it does not
  Where: (c, [dy]) => {
    const [condition, a, b] = c.node.inputs as [string, string, string];
    const zero = scalar(c, c.node.outputs[0]!, 0);
    return [
      undefined,
      c.needs(1) ? unbroadcast(c, where(c, condition, dy!, zero), a) : undefined,
      c.needs(2) ? unbroadcast(c, where(c, condition, zero, dy!), b) : undefined,
    ];
  },
};

/** dy (1 + erf(s) + 2 / sqrt(pi) s e^(-s^2)) / 2, s = x / sqrt(2). */
function geluErf(c: Context, dy: string, x: string): string {
  const s = times(c, x, Math.SQRT1_2);
  const bell = c.b.add("Exp", [c.b.add("Neg", [mul(c, s, s)])]);
  const bend = times(c, mul(c, s, bell), 2 / Math.sqrt(Math.PI));
  return mul(c, times(c, dy, 0.5), plus(c, add(c, c.b.add("Erf", [s]), bend), 1));
}

/** dy (1 + t + x (1 - t^2) u') / 2, t = tanh(u), u = k (x + 0.044715 x^3), k = sqrt(2 / pi). */
function geluTanh(c: Context, dy: string, x: string): string {
  const k = Math.sqrt(2 / Math.PI);
  const square = mul(c, x, x);
  const t = c.b.add("Tanh", [mul(c, x, plus(c, times(c, square, 0.044715 * k), k))]);
  const slope = mul(c, x, plus(c, times(c, square, 3 * 0.044715 * k), k));
  const bend = mul(c, slope, oneMinus(c, mul(c, t, t)));
  return mul(c, times(c, dy, 0.5), plus(c, add(c, t, bend), 1));
}
