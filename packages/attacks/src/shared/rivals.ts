import { type Goal, type Loss, linear, margin, weightedSum } from "@parapet/core";

/** For each row of logits the classes other than its own, the largest logit first. */
export function rivalsOf(logits: Float32Array, classes: Int32Array): (row: number, rank: number) => number {
  const k = logits.length / classes.length;
  const known = new Map<number, number[]>();
  return (row, rank) => {
    let order = known.get(row);
    if (order === undefined) {
      // NaN differences compare as equal, so that every row has an order.
      order = Array.from({ length: k }, (_, j) => j)
        .filter((j) => j !== classes[row])
        .sort((a, b) => logits[row * k + b]! - logits[row * k + a]! || a - b);
      known.set(row, order);
    }
    return order[rank]!;
  };
}

/** The margin that is positive, or zero, where the goal is reached. */
export function marginFor({ kind, classes }: Goal): Loss {
  return kind === "untargeted" ? margin(classes) : weightedSum([[-1, margin(classes)]]);
}

/** The difference of two logits of each example, `z_a - z_b`. */
export function differenceOf(a: Int32Array, b: Int32Array, k: number): Loss {
  const cotangent = new Float32Array(a.length * k);
  for (let i = 0; i < a.length; i++) {
    cotangent[i * k + a[i]!] = 1;
    cotangent[i * k + b[i]!] = -1;
  }
  return linear({ dtype: "float32", shape: [a.length, k], data: cotangent });
}
