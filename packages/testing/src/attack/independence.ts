import { type AttackResult, createRng, type Goal, type NdArray, takeRows, targeted, untargeted } from "@parapet/core";
import { assertSameBytes } from "../assert.ts";
import { reversed } from "../classifier/subject.ts";
import { demand } from "../law.ts";
import type { AttackCheck, AttackChecks } from "./subject.ts";

/** The result of some examples, asked for alone, is their part of the result of all. */
const independentOf =
  (subsets: (n: number) => readonly Int32Array[]): AttackCheck =>
  async ({ x, goals, run }) => {
    for (const goal of goals) {
      const all = await run(goal);
      for (const rows of subsets(x.shape[0]!)) {
        const some = await run(goal.take(rows), { x: takeRows(x, rows) });
        demandSame(some, takeResult(all, rows), `${goal.kind}, rows ${rows.join(", ")}`);
      }
    }
  };

/** What an example's result may depend on: the example, its goal, the seed and the model. */
export const independence: AttackChecks = {
  "the same seed gives the same bytes": async ({ goals, run }) => {
    for (const goal of goals) demandSame(await run(goal), await run(goal), goal.kind);
  },

  "running an attack twice side by side changes neither result": async ({ goals, run }) => {
    for (const goal of goals) {
      const alone = await run(goal);
      for (const result of await Promise.all([run(goal), run(goal)])) demandSame(result, alone, goal.kind);
    }
  },

  "what was drawn from the generator before does not matter": async ({ goals, run }) => {
    for (const goal of goals) {
      const used = createRng(0);
      for (let i = 0; i < 5; i++) used.normal();
      demandSame(await run(goal, { rng: used }), await run(goal), goal.kind);
    }
  },

  "the seed matters to a random attack, and to no other": async ({ goals, run, random }) => {
    const goal = goals[0]!;
    const first = (await run(goal)).adversarial.data;
    let differs = false;
    for (let seed = 1; seed <= 8 && !differs; seed++) {
      const other = (await run(goal, { rng: createRng(seed) })).adversarial.data;
      differs = other.some((value, i) => value !== first[i]);
    }
    demand(
      differs === random,
      random ? "9 seeds: expected different results, got one" : "another seed: expected the same result, got another",
    );
  },

  "an example's result does not depend on the size of the batch": independentOf((n) =>
    Array.from({ length: n }, (_, i) => Int32Array.of(i)),
  ),

  "an example's result does not depend on the order of the batch": independentOf((n) => [reversed(n)]),

  "an example given twice gets the same result twice": independentOf((n) => [
    Int32Array.from({ length: 2 * n }, (_, i) => i % n),
  ]),

  "an example's result does not depend on others that stop early": async ({ model, x, labels, goals, run }) => {
    // The others have reached their goal before the first step, so that whatever stops early stops at once.
    const predicted = (await model.labels(x)).data;
    for (const { kind } of goals) {
      const done = kind === "targeted" ? predicted : predicted.map((label) => (label + 1) % model.numClasses);
      const goalOf = (classes: Int32Array): Goal => (kind === "targeted" ? targeted(classes) : untargeted(classes));
      for (let i = 0; i < labels.length; i++) {
        const own = kind === "targeted" ? (predicted[i]! + 1) % model.numClasses : predicted[i]!;
        const mixed = done.map((label, j) => (j === i ? own : label));
        const rows = Int32Array.of(i);
        const alone = await run(goalOf(Int32Array.of(own)), { x: takeRows(x, rows) });
        const among = takeResult(await run(goalOf(mixed)), rows);
        demandSame(among, alone, `${kind}, row ${i}`);
      }
    }
  },

  "keys name the random stream of an example": async ({ x, goals, run, random }) => {
    if (!random) return;
    const n = x.shape[0]!;
    const goal = goals[0]!;
    const order = reversed(n);
    const keys = Uint32Array.from({ length: n }, (_, i) => 1000 + i);
    const all = await run(goal, { keys });
    const turned = await run(goal.take(order), { x: takeRows(x, order), keys: keys.slice().reverse() });
    demandSame(turned, takeResult(all, order), "keys that go with the rows");
    const first = all.adversarial.data;
    let differs = false;
    for (let i = 1; i <= 8 && !differs; i++) {
      const other = await run(goal, { keys: keys.map((key) => key + 5000 * i) });
      differs = other.adversarial.data.some((value, j) => value !== first[j]);
    }
    demand(differs, "9 sets of keys: expected different results, got one");
  },
};

/** The result of the examples `rows`. */
function takeResult(result: AttackResult, rows: Int32Array): AttackResult {
  return {
    adversarial: takeRows(result.adversarial, rows),
    success: takeRows(result.success, rows),
    distance: takeRows(result.distance, rows),
    queries: takeRows(result.queries, rows),
    gradients: takeRows(result.gradients, rows),
  };
}

function demandSame(actual: AttackResult, expected: AttackResult, what: string): void {
  for (const name of ["adversarial", "success", "distance", "queries", "gradients"] as const) {
    try {
      assertSameBytes(actual[name] as NdArray, expected[name] as NdArray);
    } catch (error) {
      throw new Error(`${what}: ${name}: ${(error as Error).message}`);
    }
  }
}
