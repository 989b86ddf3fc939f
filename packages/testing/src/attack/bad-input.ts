import { type NdArray, type NdarrayView, targeted, untargeted } from "@parapet/core";
import { assertSameBytes } from "../assert.ts";
import { copyOf } from "../classifier/subject.ts";
import { refuses } from "../law.ts";
import type { AttackChecks } from "./subject.ts";

/** What an attack accepts and what it does not. */
export const attackInput: AttackChecks = {
  "a NaN, an infinite value and one outside the bounds are refused": async ({ model, x, goals, run }) => {
    const upper = typeof model.bounds.upper === "number" ? model.bounds.upper : Math.max(...model.bounds.upper);
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, upper + 0.01 * Math.abs(upper) + 0.01]) {
      const bad = copyOf(x);
      bad.data[bad.data.length - 1] = value;
      await refuses(`an input with ${value}`, () => run(goals[0]!, { x: bad }));
    }
  },

  "another shape, another dtype and an empty batch are refused": async ({ x, goals, run }) => {
    const goal = goals[0]!;
    const flat: NdArray = { ...x, shape: [x.data.length] };
    await refuses("an input without its axes", () => run(goal, { x: flat }));
    const int = { dtype: "int32", shape: x.shape, data: Int32Array.from(x.data) } as unknown as NdArray;
    await refuses("an input of dtype int32", () => run(goal, { x: int }));
    const none: NdArray = { ...x, shape: [0, ...x.shape.slice(1)], data: new Float32Array(0) };
    await refuses("an empty batch", () => run(goal.take(new Int32Array(0)), { x: none }));
  },

  "a goal for another number of examples is refused": async ({ x, goals, run }) => {
    const fewer = Int32Array.from({ length: x.shape[0]! - 1 }, (_, i) => i);
    for (const goal of goals) await refuses("a goal of n - 1 examples", () => run(goal.take(fewer)));
  },

  "a goal with a label that is no class is refused": async ({ model, labels, goals, run }) => {
    const wrong = labels.map((label, i) => (i === 2 ? model.numClasses : label));
    for (const { kind } of goals) {
      const goal = kind === "targeted" ? targeted(wrong) : untargeted(wrong);
      await refuses(`${kind}, label ${model.numClasses}`, () => run(goal));
    }
  },

  "keys for another number of examples are refused": async ({ x, goals, run, random }) => {
    if (!random) return;
    await refuses("n - 1 keys", () => run(goals[0]!, { keys: new Uint32Array(x.shape[0]! - 1) }));
  },

  "an epsilon below 0, NaN or missing is refused when the attack is made": async ({ make }) => {
    for (const epsilon of [-1, -1e-9, Number.NaN, undefined, "0.3"]) {
      await refuses(`epsilon ${epsilon}`, async () => make(epsilon as number));
    }
  },

  "a scijs ndarray view of any stride and offset is as good as an NdArray": async ({ x, goals, run }) => {
    const view = stridedView(x) as unknown as NdArray;
    for (const goal of goals) {
      const expected = await run(goal);
      const result = await run(goal, { x: view });
      assertSameBytes(result.adversarial, expected.adversarial);
      assertSameBytes(result.success, expected.success);
    }
  },
};

/** The same numbers as scijs `ndarray` might hold them: axes in the reverse order, backwards, from an offset on. */
function stridedView({ shape, data }: NdArray): NdarrayView {
  const store = new Float32Array(data.length + 3).fill(99);
  const stride: number[] = [];
  let step = -1;
  for (const length of shape) {
    stride.push(step);
    step *= length;
  }
  const offset = store.length - 1;
  data.forEach((value, i) => {
    let rest = i;
    let at = offset;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += (rest % shape[axis]!) * stride[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    store[at] = value;
  });
  return { dtype: "float32", shape, stride, offset, data: store };
}
