import type { Derivatives } from "../derivative.ts";
import { int } from "../graph.ts";
import { axisOf, rankOf, reduceSum, unary } from "./shared.ts";

/** Softmax along one axis, as since opset 13. */
export const softmax: Derivatives = {
  // y (dy - sum(dy y))
  Softmax: unary((c, dy, x, y) => {
    const sum = reduceSum(c, c.b.add("Mul", [dy, y]), [axisOf(int(c.node, "axis", -1), rankOf(c, x))]);
    return c.b.add("Mul", [y, c.b.add("Sub", [dy, sum])]);
  }),
  // dy - e^y sum(dy)
  LogSoftmax: unary((c, dy, x, y) => {
    const sum = reduceSum(c, dy, [axisOf(int(c.node, "axis", -1), rankOf(c, x))]);
    return c.b.add("Sub", [dy, c.b.add("Mul", [c.b.add("Exp", [y]), sum])]);
  }),
};
