import { expected } from "./errors.ts";
import { weightedSum } from "./loss/combine.ts";
import { crossEntropy } from "./loss/cross-entropy.ts";
import { argmax, checkLogits, type Goal, type Labels, type Loss, pick, toLabels } from "./loss/loss.ts";
import type { NdArray } from "./ndarray.ts";

/**
 * "Any class but this one." An example the model gets wrong already is reached from the start.
 *
 * @param labels - n true classes
 * @param loss - what to climb, one value an example; default: cross-entropy of the labels
 * @returns the goal
 * @throws RangeError when a label is negative or, once logits are seen, not below the number of classes
 *
 * @example
 * ```ts
 * import { margin, untargeted } from "@parapet/core";
 * const labels = [7, 2, 1];
 * console.log(untargeted(labels).kind, untargeted(labels, margin(labels)).loss.count); // => untargeted 3
 * ```
 */
export function untargeted(labels: Labels, loss?: Loss): Goal {
  const classes = toLabels(labels);
  return makeGoal("untargeted", classes, loss ?? crossEntropy(classes));
}

/**
 * "Exactly this class."
 *
 * @param classes - n wanted classes
 * @param loss - what to climb, one value an example; default: minus the cross-entropy of the wanted classes
 * @returns the goal
 * @throws RangeError when a class is negative or, once logits are seen, not below the number of classes
 *
 * @example
 * ```ts
 * import { ndArray, targeted } from "@parapet/core";
 * const goal = targeted([2]);
 * console.log(goal.isReached(ndArray([0.1, 0.2, 0.7], [1, 3])).data[0]); // => 1
 * ```
 */
export function targeted(classes: Labels, loss?: Loss): Goal {
  const wanted = toLabels(classes, "classes");
  return makeGoal("targeted", wanted, loss ?? weightedSum([[-1, crossEntropy(wanted)]]));
}

function makeGoal(kind: Goal["kind"], classes: Int32Array, loss: Loss): Goal {
  if (loss.count !== classes.length || loss.parts !== 1) {
    throw new TypeError(
      expected("loss", `${classes.length} values and one part`, `${loss.count} values and ${loss.parts} parts`),
    );
  }
  return {
    kind,
    classes,
    loss,
    isReached(answer) {
      const data = new Uint8Array(classes.length);
      if (answer.dtype === "int32") {
        if (answer.shape.length !== 1 || answer.data.length !== classes.length) {
          throw new TypeError(expected("labels", `shape [${classes.length}]`, answer.shape));
        }
        for (let i = 0; i < data.length; i++)
          data[i] = Number((answer.data[i] === classes[i]) === (kind === "targeted"));
        return { dtype: "bool", shape: [data.length], data };
      }
      const k = checkLogits(answer, classes.length);
      for (let i = 0; i < data.length; i++) {
        if (classes[i]! >= k) throw new RangeError(expected("classes", `classes below ${k}`, classes[i]));
        if (!isFiniteRow(answer, i, k)) continue;
        data[i] = Number((argmax(answer.data, i * k, k) === classes[i]) === (kind === "targeted"));
      }
      return { dtype: "bool", shape: [data.length], data };
    },
    take: (rows) => makeGoal(kind, pick(classes, rows), loss.take(rows)),
  };
}

function isFiniteRow(logits: NdArray, row: number, k: number): boolean {
  for (let j = row * k; j < (row + 1) * k; j++) if (!Number.isFinite(logits.data[j])) return false;
  return true;
}
