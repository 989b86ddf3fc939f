import { checkNumber, expected } from "../errors.ts";
import { type NdArray, takeRows } from "../ndarray.ts";
import { checkLogits, type Loss, pick, rowwise } from "./loss.ts";

/**
 * The Kullback-Leibler divergence between the answers to two copies of each example, `KL(softmax p || softmax q)` in
 * nats, with `p` the logits of part 0 and `q` those of part 1. Its cotangent reaches both parts.
 *
 * @param count - number of examples n; the logits have 2n rows, part 0 first
 * @returns a loss with two parts
 * @throws RangeError when `count` is not a whole number > 0
 *
 * @example
 * ```ts
 * import { klDivergence, ndArray } from "@parapet/core";
 * const logits = ndArray([2, 0, -1, 1, 1, -1], [2, 3]);
 * console.log(klDivergence(1).value(logits).data[0]!.toFixed(6)); // => 0.318377
 * ```
 *
 * Source: S. Kullback and R. Leibler, 1951; as a training loss H. Zhang et al., "Theoretically Principled Trade-off
 * between Robustness and Accuracy" (TRADES), 2019, https://arxiv.org/abs/1901.08573. Differences: none known.
 */
export function klDivergence(count: number): Loss {
  return betweenParts(checkNumber("count", count, { min: 1, integer: true }));
}

function betweenParts(count: number): Loss {
  return {
    count,
    parts: 2,
    value(logits) {
      const k = checkLogits(logits, 2 * count);
      const data = new Float32Array(count);
      for (let i = 0; i < count; i++) data[i] = divergence(logits.data, i * k, logits.data, (count + i) * k, k);
      return { dtype: "float32", shape: [count], data };
    },
    cotangent(logits) {
      const k = checkLogits(logits, 2 * count);
      const data = new Float32Array(2 * count * k);
      for (let i = 0; i < count; i++) {
        const p = logSoftmax(logits.data, i * k, k);
        const q = logSoftmax(logits.data, (count + i) * k, k);
        const kl = sumOf(k, (j) => Math.exp(p[j]!) * (p[j]! - q[j]!));
        for (let j = 0; j < k; j++) {
          data[i * k + j] = Math.exp(p[j]!) * (p[j]! - q[j]! - kl);
          data[(count + i) * k + j] = Math.exp(q[j]!) - Math.exp(p[j]!);
        }
      }
      return { dtype: "float32", shape: logits.shape, data };
    },
    take: (rows) => betweenParts(pick(new Int32Array(count), rows).length),
  };
}

/**
 * The Kullback-Leibler divergence from fixed answers: `KL(softmax r || softmax z)`, with `r` constant. The inner loss of
 * TRADES (the clean logits stand still while the attack moves) and of distillation (the teacher's logits).
 *
 * @param reference - logits `[n, k]`
 * @returns a loss with one part over logits `[n, k]`; zero, with zero cotangent, where they equal the reference
 * @throws TypeError when the reference is not float32 `[n, k]`, or logits of another k are seen
 *
 * @example
 * ```ts
 * import { klDivergenceFrom, ndArray } from "@parapet/core";
 * const loss = klDivergenceFrom(ndArray([2, 0, -1], [1, 3]));
 * console.log(loss.value(ndArray([1, 1, -1], [1, 3])).data[0]!.toFixed(6)); // => 0.318377
 * ```
 *
 * Source: as `klDivergence`. Differences: none known.
 */
export function klDivergenceFrom(reference: NdArray): Loss {
  const n = reference.shape[0] ?? 0;
  const classes = checkLogits(reference, n);
  const fixed = reference.data.slice();
  const same = (k: number) => {
    if (k !== classes) throw new TypeError(expected("logits", `${classes} classes as in the reference`, k));
  };
  return rowwise(
    "klDivergenceFrom",
    new Int32Array(n),
    {
      minClasses: 2,
      value(z, at, k) {
        same(k);
        return divergence(fixed, at, z, at, k);
      },
      cotangent(z, at, k, _row, out) {
        same(k);
        const p = logSoftmax(fixed, at, k);
        const q = logSoftmax(z, at, k);
        for (let j = 0; j < k; j++) out[at + j] = Math.exp(q[j]!) - Math.exp(p[j]!);
      },
    },
    (rows) => klDivergenceFrom(takeRows({ dtype: "float32", shape: [n, classes], data: fixed }, rows)),
  );
}

function divergence(a: Float32Array, atA: number, b: Float32Array, atB: number, k: number): number {
  const p = logSoftmax(a, atA, k);
  const q = logSoftmax(b, atB, k);
  return sumOf(k, (j) => Math.exp(p[j]!) * (p[j]! - q[j]!));
}

function logSoftmax(z: Float32Array, at: number, k: number): Float64Array {
  let top = z[at]!;
  for (let j = 1; j < k; j++) top = Math.max(top, z[at + j]!);
  const log = Math.log(sumOf(k, (j) => Math.exp(z[at + j]! - top)));
  return Float64Array.from({ length: k }, (_, j) => z[at + j]! - top - log);
}

function sumOf(k: number, term: (j: number) => number): number {
  let sum = 0;
  for (let j = 0; j < k; j++) sum += term(j);
  return sum;
}
