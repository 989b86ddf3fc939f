import type { NdArray } from "@parapet/core";
import { demand, refuses } from "../law.ts";
import type { AttackChecks, AttackSubject } from "./subject.ts";

/** That features under a mask stay as they are. */
export const masks: AttackChecks = {
  "features that the mask holds do not change, the others may": async (subject) => {
    const { x } = subject;
    const whole = maskOf(x.shape, (i) => i % 3 !== 0);
    await holds(subject, whole, (i) => i % 3 !== 0);
  },

  "a mask of one example's shape holds for every example": async (subject) => {
    const { x, model } = subject;
    const width = x.data.length / x.shape[0]!;
    await holds(
      subject,
      maskOf(model.inputShape, (j) => j % 2 === 0),
      (i) => (i % width) % 2 === 0,
    );
  },

  "a mask of another shape or dtype is refused": async ({ x, goals, run }) => {
    const n = x.shape[0]!;
    await refuses("a mask of the wrong shape", () => run(goals[0]!, { mask: maskOf([n, 1, 1, 1, 2], () => true) }));
    const float = { dtype: "float32", shape: x.shape, data: new Float32Array(x.data.length) } as unknown;
    await refuses("a mask of dtype float32", () => run(goals[0]!, { mask: float as NdArray<"bool"> }));
  },
};

async function holds({ x, goals, run }: AttackSubject, mask: NdArray<"bool">, free: (i: number) => boolean) {
  for (const goal of goals) {
    const { adversarial } = await run(goal, { mask });
    let moved = 0;
    x.data.forEach((value, i) => {
      const got = adversarial.data[i]!;
      if (free(i)) moved += Number(got !== value);
      else demand(got === value, `masked element ${i}: expected ${value} as before, got ${got}`);
    });
    demand(moved > 0, "features outside the mask: expected some to change, got none");
  }
}

function maskOf(shape: readonly number[], free: (i: number) => boolean): NdArray<"bool"> {
  const length = shape.reduce((size, axis) => size * axis, 1);
  return { dtype: "bool", shape, data: Uint8Array.from({ length }, (_, i) => Number(free(i))) };
}
