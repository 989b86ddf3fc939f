import type { Derivatives, Dim } from "../derivative.ts";
import { attribute, float, int, string } from "../graph.ts";
import {
  type Context,
  floats,
  has,
  isStatic,
  range,
  refuse,
  reshape,
  reshapeLike,
  type Shape,
  scalar,
  shapeOf,
  unbroadcast,
  unbroadcastTo,
  unsqueeze,
} from "./shared.ts";

const swapLast = (c: Context, x: string, rank: number): string =>
  c.b.add("Transpose", [x], { perm: attribute.ints([...range(0, rank - 2), rank - 1, rank - 2]) });

function gemm(c: Context, a: string, b: string, transA: boolean, transB: boolean, alpha = 1): string {
  const attributes = {
    ...(transA ? { transA: attribute.int(1) } : {}),
    ...(transB ? { transB: attribute.int(1) } : {}),
    ...(alpha === 1 ? {} : { alpha: attribute.float(alpha) }),
  };
  return c.b.add("Gemm", [a, b], attributes);
}

/** Matrix products. */
export const linear: Derivatives = {
  // Y = alpha A' B' + beta C: dA' = alpha dY B'^T, dB' = alpha A'^T dY, dC = beta dY
  Gemm: (c, [dy]) => {
    const [a, b, bias] = c.node.inputs as [string, string, string];
    const transA = int(c.node, "transA", 0) !== 0;
    const transB = int(c.node, "transB", 0) !== 0;
    const alpha = float(c.node, "alpha", 1);
    const beta = float(c.node, "beta", 1);
    const da = (): string => (transA ? gemm(c, b, dy!, transB, true, alpha) : gemm(c, dy!, b, false, !transB, alpha));
    const db = (): string => (transB ? gemm(c, dy!, a, true, transA, alpha) : gemm(c, a, dy!, !transA, false, alpha));
    const dc = (): string => {
      const sum = unbroadcast(c, dy!, bias);
      return beta === 1 ? sum : c.b.add("Mul", [sum, scalar(c, bias, beta)]);
    };
    return [c.needs(0) ? da() : undefined, c.needs(1) ? db() : undefined, has(c, 2) && c.needs(2) ? dc() : undefined];
  },

  // Y = A B: dA = dY B^T, dB = A^T dY, summed over the batch axes along which an operand was repeated
  MatMul: (c, [dy]) => {
    const [a, b] = c.node.inputs as [string, string];
    const [shapeA, shapeB] = [shapeOf(c, a), shapeOf(c, b)];
    const [vectorA, vectorB] = [shapeA.length === 1, shapeB.length === 1];
    const sa = vectorA ? [1, shapeA[0]!] : shapeA;
    const sb = vectorB ? [shapeB[0]!, 1] : shapeB;
    const batch = shapeOf(c, c.node.outputs[0]!).slice(0, Math.max(sa.length, sb.length) - 2);
    const rank = batch.length + 2;
    const dY = unsqueeze(c, dy!, [...(vectorA ? [rank - 2] : []), ...(vectorB ? [rank - 1] : [])]);
    const da = (): string => {
      if (sa.length === 2 && sb.length === 2 && !vectorB) return fit(gemm(c, dY, b, false, true), a, vectorA);
      const turned = vectorB ? reshape(c, b, [1, shapeB[0]!]) : swapLast(c, b, sb.length);
      const full = c.b.add("MatMul", [dY, turned]);
      return fit(unbroadcastTo(c, full, [...batch, ...sa.slice(-2)], sa), a, vectorA);
    };
    const db = (): string => {
      const columns = sb.at(-1)!;
      // A matrix of weights: one product over all rows instead of one for each example and a sum.
      if (sb.length === 2 && !vectorA && isStatic(sa.at(-1)) && isStatic(columns)) {
        const rows = (value: string, width: Dim, flat: boolean): string =>
          flat ? value : reshape(c, value, [{ scale: 1, offset: 0 }, width]);
        const left = rows(a, sa.at(-1)!, sa.length === 2);
        return fit(gemm(c, left, rows(dY, columns, rank === 2), true, false), b, vectorB);
      }
      const turned = vectorA ? reshape(c, a, [shapeA[0]!, 1]) : swapLast(c, a, sa.length);
      const full = c.b.add("MatMul", [turned, dY]);
      return fit(unbroadcastTo(c, full, [...batch, ...sb.slice(-2)], sb), b, vectorB);
    };
    const fit = (value: string, name: string, vector: boolean): string =>
      vector ? reshapeLike(c, value, name) : value;
    return [c.needs(0) ? da() : undefined, c.needs(1) ? db() : undefined];
  },

  // each operand's derivative is the product of dY and the other operands, over the indices that it does not have
  Einsum: (c, [dy]) => {
    const { operands, output, sizes } = parse(c);
    return c.node.inputs.map((x, i) => {
      if (!c.needs(i)) return undefined;
      const others = operands.filter((_, j) => j !== i);
      const names = c.node.inputs.filter((_, j) => j !== i);
      const own = operands[i]!;
      // An index that occurs twice (a diagonal) gets a second name, bound to the first by an identity matrix.
      const spare = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].filter((letter) => !sizes.has(letter));
      const renamed = own.map((letter, at) => {
        if (own.indexOf(letter) === at) return letter;
        const size = sizes.get(letter)!;
        if (!isStatic(size)) return refuse(c, "a diagonal along the batch");
        const other = spare.shift() ?? refuse(c, "it has too many indices");
        const eye = range(0, size * size).map((k) => (k % (size + 1) === 0 ? 1 : 0));
        others.push([letter, other]);
        names.push(floats(c, c.type(x).dtype, [size, size], eye));
        sizes.set(other, size);
        return other;
      });
      const terms = output.length === 0 ? others : [output, ...others];
      const values = output.length === 0 ? names : [dy!, ...names];
      const known = new Set(terms.flat());
      const given = renamed.filter((letter) => known.has(letter));
      let value = dy!;
      if (terms.length > 0) {
        const equation = `${terms.map((term) => term.join("")).join(",")}->${given.join("")}`;
        value = c.b.add("Einsum", values, { equation: attribute.string(equation) });
        if (output.length === 0) value = c.b.add("Mul", [value, dy!]);
      }
      const lost = renamed.flatMap((letter, at) => (known.has(letter) ? [] : [at]));
      const wide = unsqueeze(c, value, lost);
      const shape = renamed.map((letter) => (known.has(letter) ? sizes.get(letter)! : 1));
      const fitted = unbroadcastTo(
        c,
        wide,
        shape,
        shapeOf(c, x).map((dim, at) => (lost.includes(at) ? 1 : dim)),
      );
      if (lost.length === 0) return fitted;
      const want = shapeOf(c, x).map((dim, at) => (lost.includes(at) ? dim : 1));
      return c.b.add("Expand", [fitted, want.every(isStatic) ? c.b.int64(want) : c.b.add("Shape", [x])]);
    });
  },
};

interface Einsum {
  readonly operands: string[][];
  readonly output: string[];
  readonly sizes: Map<string, Dim>;
}

/** The indices of an equation, with "..." spelled out by letters that it does not use. */
function parse(c: Context): Einsum {
  const [left = "", right] = string(c.node, "equation", "").replace(/\s+/g, "").split("->");
  const terms = left.split(",");
  const unused = [..."ZYXWVUTSRQPONMLKJIHGFEDCBA"].filter((letter) => !left.includes(letter));
  const shapes: Shape[] = c.node.inputs.map((name) => shapeOf(c, name));
  const spread = terms.map((term, i) => (term.includes("...") ? shapes[i]!.length - (term.length - 3) : 0));
  const widest = Math.max(0, ...spread);
  if (unused.length < widest) refuse(c, "it has too many indices");
  const ellipsis = unused.slice(0, widest);
  const spell = (term: string, width: number): string[] => [
    ...term.replace("...", ellipsis.slice(widest - width).join("")),
  ];
  const operands = terms.map((term, i) => spell(term, spread[i]!));
  const sizes = new Map<string, Dim>();
  operands.forEach((operand, i) => {
    operand.forEach((letter, at) => {
      const dim = shapes[i]![at]!;
      if (!sizes.has(letter) || sizes.get(letter) === 1) sizes.set(letter, dim);
    });
  });
  const all = operands.flat();
  const once = [...new Set(all)].filter((l) => !ellipsis.includes(l) && all.indexOf(l) === all.lastIndexOf(l)).sort();
  const output = right === undefined ? [...ellipsis, ...once] : spell(right, widest);
  return { operands, output, sizes };
}
