import { describe, expect, it } from "vitest";
import { klDivergence, margin, ndArray, targeted, untargeted } from "../src/index.ts";

const logits = ndArray([3, 1, 2, 1, 3, 2, 0, 0, 5], [3, 3]); // answers 0, 1, 2

describe("isReached", () => {
  it("untargeted: any class but the true one", () => {
    expect([...untargeted([0, 0, 0]).isReached(logits).data]).toEqual([0, 1, 1]);
  });

  it("targeted: exactly the class wanted", () => {
    expect([...targeted([0, 0, 2]).isReached(logits).data]).toEqual([1, 0, 1]);
  });

  it("takes labels for an answer too, from a model that gives no scores", () => {
    const labels = ndArray(Int32Array.of(0, 1, 2));
    expect([...untargeted([0, 0, 0]).isReached(labels).data]).toEqual([0, 1, 1]);
    expect([...targeted([0, 0, 2]).isReached(labels).data]).toEqual([1, 0, 1]);
  });

  it("on a tie the first class is the answer, as everywhere", () => {
    const tie = ndArray([1, 1, 0], [1, 3]);
    expect(untargeted([0]).isReached(tie).data[0]).toBe(0);
    expect(untargeted([1]).isReached(tie).data[0]).toBe(1);
    expect(targeted([1]).isReached(tie).data[0]).toBe(0);
  });

  it("a row that is not finite is never a success, wherever the NaN or infinity is", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      for (let place = 0; place < 3; place++) {
        const row = ndArray([0, 1, 2], [1, 3]);
        row.data[place] = value;
        for (let label = 0; label < 3; label++) {
          expect(untargeted([label]).isReached(row).data[0]).toBe(0);
          expect(targeted([label]).isReached(row).data[0]).toBe(0);
        }
      }
    }
  });

  it("a row that is not finite does not touch its neighbours", () => {
    const rows = ndArray([0, Number.NaN, 0, 1], [2, 2]);
    expect([...untargeted([0, 0]).isReached(rows).data]).toEqual([0, 1]);
  });

  it("refuses answers for another number of examples, and classes that the model has not", () => {
    expect(() => untargeted([0, 1]).isReached(logits)).toThrow(TypeError);
    expect(() => untargeted([0, 1]).isReached(ndArray(Int32Array.of(0)))).toThrow(
      '"labels" expected shape [2], got [1]',
    );
    expect(() => untargeted([0, 1, 3]).isReached(logits)).toThrow('"classes" expected classes below 3, got 3');
  });
});

describe("a goal's loss", () => {
  it("leads away from the true class, or towards the wanted one", () => {
    const z = ndArray([2, 0, 0], [1, 3]);
    const [away] = untargeted([0]).loss.cotangent(z).data;
    const towards = targeted([1]).loss.cotangent(z).data[1]!;
    expect(away).toBeLessThan(0);
    expect(towards).toBeGreaterThan(0);
    expect(targeted([1]).loss.value(z).data[0]).toBeLessThan(0);
  });

  it("may be another one with a value for each example", () => {
    expect(untargeted([0, 1], margin([0, 1])).loss.form?.kind).toBe("margin");
    expect(() => untargeted([0, 1], margin([0]))).toThrow(
      '"loss" expected 2 values and one part, got "1 values and 1 parts"',
    );
    expect(() => untargeted([0], klDivergence(1))).toThrow(TypeError);
  });

  it("goes along with take, repeats and all", () => {
    const goal = targeted([2, 0, 1], margin([2, 0, 1])).take(Int32Array.of(1, 1, 2));
    expect([...goal.classes]).toEqual([0, 0, 1]);
    expect(goal.loss.form).toEqual({ kind: "margin", labels: Int32Array.of(0, 0, 1) });
    expect(goal.kind).toBe("targeted");
    expect(untargeted([1]).take(new Int32Array(0)).classes.length).toBe(0);
    expect(() => untargeted([1]).take(Int32Array.of(1))).toThrow(RangeError);
  });

  it("classes are checked and copied", () => {
    expect(() => targeted([-1])).toThrow('"classes" expected whole numbers >= 0, got -1');
    expect(() => untargeted([1.5])).toThrow('"labels" expected');
    const classes = Int32Array.of(1);
    const goal = untargeted(classes);
    classes[0] = 0;
    expect(goal.classes[0]).toBe(1);
  });
});
