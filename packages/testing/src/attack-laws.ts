import type { Attack } from "@parapet/core";
import { attackInput } from "./attack/bad-input.ts";
import { geometry } from "./attack/geometry.ts";
import { honesty } from "./attack/honesty.ts";
import { independence } from "./attack/independence.ts";
import { masks } from "./attack/masks.ts";
import { type AttackLawOptions, attackSubject } from "./attack/subject.ts";
import type { Law } from "./law.ts";

/**
 * The laws that every attack with a radius obeys: where its result may lie, what it may depend on, that what it tells is
 * true, and what it refuses.
 *
 * @param make - the attack at a radius; called with wrong radii too, which it refuses by throwing
 * @param options - norm, radius, what the attack can do, and another problem than the default one; see
 *   `AttackLawOptions`
 * @returns the laws, to be registered with a test runner; their names are unique
 *
 * @example
 * ```ts
 * import { checkNumber, type Attack } from "@parapet/core";
 * import { attackLaws } from "@parapet/testing";
 * // An attack that is none obeys many laws, but not all.
 * const lazy = (epsilon: number): Attack => async (model, x, goal) => {
 *   checkNumber("epsilon", epsilon, { min: 0 });
 *   const n = goal.classes.length;
 *   const none = { dtype: "int32", shape: [n], data: new Int32Array(n) } as const;
 *   return {
 *     adversarial: { ...x, data: x.data.slice() },
 *     success: goal.isReached(await model.logits(x)),
 *     distance: { dtype: "float32", shape: [n], data: new Float32Array(n) },
 *     queries: { ...none, data: none.data.map(() => 1) },
 *     gradients: none,
 *   };
 * };
 * const law = attackLaws(lazy, { norm: "linf", epsilon: 0.3 }).find(({ name }) => name.includes("border"))!;
 * await law.run().catch((error) => console.log(error.message.slice(0, 19))); // => success: expected 1
 * ```
 */
export function attackLaws(make: (epsilon: number) => Attack, options: AttackLawOptions): readonly Law[] {
  const checks = {
    ...geometry,
    ...independence,
    ...honesty,
    ...attackInput,
    ...((options.masks ?? true) ? masks : {}),
  };
  return Object.entries(checks).map(([name, check]) => ({
    name,
    run: async () => check(await attackSubject(make, options)),
  }));
}
