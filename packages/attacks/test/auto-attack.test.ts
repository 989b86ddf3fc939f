import { apgd, fab, square } from "@parapet/attacks";
import { type AttackResult, createRng, ndArray, takeRows, targeted, untargeted } from "@parapet/core";
import { affineModel, attackLaws, researchWeights, scaledLogits, tinyMlp } from "@parapet/testing";
import { describe, expect, it } from "vitest";
import { type AutoAttackOptions, autoAttack, autoAttackMembers, inSequence } from "../src/auto-attack.ts";
import { range } from "../src/shared/run.ts";
import { labels, paddedDigits, paddedModel } from "./helpers/padded-digits.ts";
import reference from "./vectors/autoattack.json" with { type: "json" };

for (const norm of ["linf", "l2", "l1"] as const) {
  describe(`a sequence of attacks obeys the laws: ${norm}`, () => {
    // The members as autoAttack has them, with fewer steps.
    const make = (epsilon: number) =>
      inSequence(
        [
          { name: "apgd-ce", attack: apgd({ norm, epsilon, steps: 4 }) },
          { name: "apgd-t", attack: apgd({ norm, epsilon, steps: 4, loss: "targeted-difference-of-logits-ratio" }) },
          { name: "fab-t", attack: fab({ norm, epsilon, steps: 4, restarts: 1, targeted: true, earlyStop: true }) },
          { name: "square", attack: square({ norm, epsilon, queries: 10 }) },
        ],
        { norm },
      );
    for (const law of attackLaws(make, { norm, epsilon: 0.3 })) it(law.name, () => law.run());
  });
}

const rng = createRng(0);

describe("the members", () => {
  // In a known library other attacks stand under this name, and its figure is not AutoAttack's.
  it.each([
    ["standard", "apgd-ce apgd-t fab-t square"],
    ["plus", "apgd-ce apgd-dlr fab square apgd-t fab-t"],
    ["rand", "apgd-ce apgd-dlr"],
  ] as const)("%s: %s", (version, names) => {
    for (const norm of ["linf", "l2", "l1"] as const) {
      expect(
        autoAttackMembers({ norm, epsilon: 0.3, version })
          .map(({ name }) => name)
          .join(" "),
      ).toBe(names);
    }
  });

  it("have the published budgets", async () => {
    // 12 classes, epsilon so small that everything holds: what is spent is the budget. Looks: one before, one after a run.
    const model = tinyMlp({ inputShape: [3], hidden: 4, numClasses: 12, rng: createRng(3) });
    const x = ndArray([0.3, 0.5, 0.8], [1, 3]);
    const goal = untargeted((await model.labels(x)).data);
    const spent = async (options: Partial<AutoAttackOptions>) => {
      const budgets: Record<string, number[]> = {};
      for (const { name, attack } of autoAttackMembers({ epsilon: 1e-4, ...options })) {
        const { queries, gradients } = await attack(model, x, goal, { rng });
        budgets[name] = [queries.data[0]!, gradients.data[0]!];
      }
      return budgets;
    };
    const searched = [1 + 5002, 0];
    const oneByOne = [1 + 9 * 200, 900];
    const nine = [1 + 9 * 102, 909];
    expect(await spent({})).toEqual({ "apgd-ce": [103, 101], "apgd-t": nine, "fab-t": oneByOne, square: searched });
    expect(await spent({ norm: "l1" })).toEqual({
      "apgd-ce": [1 + 5 * 104, 515],
      "apgd-t": [1 + 5 * 104, 515],
      "fab-t": oneByOne,
      square: searched,
    });
    const five = [1 + 5 * 102, 505];
    expect(await spent({ version: "plus" })).toEqual({
      "apgd-ce": five,
      "apgd-dlr": five,
      fab: [1 + 5 * 200, 5 * 100 * 11],
      square: searched,
      "apgd-t": nine,
      "fab-t": oneByOne,
    });
    const averaged = [1 + 101 * 20 + 1, 2020];
    expect(await spent({ version: "rand" })).toEqual({ "apgd-ce": averaged, "apgd-dlr": averaged });
  });
});

it("square keeps the schedule that was made for 10,000 queries, though it has 5,000", async () => {
  const [epsilon, goal] = [0.6, untargeted(labels.slice(4, 10))];
  const attacks = [
    autoAttackMembers({ norm: "l2", epsilon }).at(-1)!.attack,
    square({ norm: "l2", epsilon, rescale: false }),
    square({ norm: "l2", epsilon }),
  ];
  const spent = attacks.map(async (attack) => {
    const { queries } = await attack(paddedModel, takeRows(paddedDigits, range(4, 10)), goal, { rng });
    return queries.data.join();
  });
  const [member, plain, squeezed] = await Promise.all(spent);
  expect(member).toBe(plain);
  expect(member).not.toBe(squeezed);
});

describe("autoAttack", () => {
  const research = affineModel(researchWeights);
  const x = ndArray([0.6, 0.7, 0.2], [1, 3]);

  it("breaks what the first member cannot, and says who did", async () => {
    const said: string[] = [];
    const onMember: AutoAttackOptions["onMember"] = ({ member, broken }) => said.push(`${member}: ${broken.join()}`);
    const attack = autoAttack({ epsilon: 0.38, onMember });
    // Cross-entropy has no gradient here. The third row is wrong from the start.
    const rows = ndArray([0.6, 0.7, 0.2, 0.6, 0.6, 0.2, 0, 0, 1], [3, 3]);
    const { success, distance } = await attack(scaledLogits(research), rows, untargeted([0, 0, 0]), { rng });
    expect([...success.data]).toEqual([1, 1, 1]);
    expect(said).toEqual(["apgd-ce: 2", "apgd-t: 0,1"]);
    expect(distance.data[2]).toBe(0);
  });

  it("spends on an example what the members spend while it holds", async () => {
    const members = autoAttackMembers({ epsilon: 0.38 });
    const goal = untargeted([0]);
    const [first, second] = await Promise.all(
      members.map(({ attack }) => attack(scaledLogits(research), x, goal, { rng })),
    );
    const { queries, gradients } = await autoAttack({ epsilon: 0.38 })(scaledLogits(research), x, goal, { rng });
    expect(queries.data[0]).toBe(first!.queries.data[0]! + second!.queries.data[0]!);
    expect(gradients.data[0]).toBe(first!.gradients.data[0]! + second!.gradients.data[0]!);
  });

  // A known library knows no binary classifiers, and asks for 9 targets whatever there is.
  it.each([2, 3])("%i classes", async (numClasses) => {
    const model = tinyMlp({ inputShape: [4], hidden: 8, numClasses, rng: createRng("few") });
    const inputs = ndArray([0.1, 0.4, 0.6, 0.9], [1, 4]);
    const label = (await model.labels(inputs)).data[0]!;
    for (const version of ["standard", "plus", "rand"] as const) {
      const far = await autoAttack({ epsilon: 1, version })(model, inputs, untargeted([label]), { rng });
      expect(far.success.data[0]).toBe(1);
      const near = await autoAttack({ epsilon: 1e-3, version })(model, inputs, untargeted([label]), { rng });
      expect(near.success.data[0]).toBe(0);
    }
    const wanted = targeted([(label + 1) % numClasses]);
    const { success, adversarial } = await autoAttack({ epsilon: 1 })(model, inputs, wanted, { rng });
    expect([...success.data]).toEqual([...wanted.isReached(await model.logits(adversarial)).data]);
  });

  // A known library forgets a variable when it goes on from a stored state, and draws its seed from the clock.
  it("may stop after any member and go on later, with the same result", async () => {
    const rows = range(0, 8);
    const inputs = takeRows(paddedDigits, rows);
    const goal = untargeted(labels.slice(0, 8));
    const members = autoAttackMembers({ epsilon: 0.08 }).slice(0, 3);
    const whole = await inSequence(members, {})(paddedModel, inputs, goal, { rng: createRng(5) });
    for (const stop of [1, 2]) {
      const before = await inSequence(members.slice(0, stop), {})(paddedModel, inputs, goal, { rng: createRng(5) });
      const stored = JSON.stringify([...before.success.data]);
      const open = rows.filter((row) => (JSON.parse(stored) as number[])[row] === 0);
      const after = await inSequence(members.slice(stop), {})(paddedModel, takeRows(inputs, open), goal.take(open), {
        rng: createRng(5),
      });
      const success = [...before.success.data];
      open.forEach((row, i) => {
        success[row] = after.success.data[i]!;
      });
      expect(success).toEqual([...whole.success.data]);
    }
  });

  it("with a mask and keys for every row, hands each member those of the rows that hold", async () => {
    const inputs = takeRows(paddedDigits, range(0, 6));
    const mask = { dtype: "bool", shape: inputs.shape, data: Uint8Array.from(inputs.data, (_, at) => at % 2) } as const;
    const keys = Uint32Array.from({ length: 6 }, (_, i) => 100 + i);
    const seen: (readonly [number, number])[] = [];
    const spy = {
      name: "spy",
      attack: ((_m, x, _g, context) => {
        seen.push([context.mask!.data.length / x.shape[0]!, context.keys![0]!]);
        return Promise.resolve(untouched(x.shape[0]!, x));
      }) as ReturnType<typeof autoAttack>,
    };
    const first = {
      name: "first",
      attack: ((_m, x) => {
        const result = untouched(6, x);
        return Promise.resolve({ ...result, success: { ...result.success, data: Uint8Array.of(1, 1, 0, 1, 0, 1) } });
      }) as ReturnType<typeof autoAttack>,
    };
    const { success } = await inSequence([first, spy], {})(paddedModel, inputs, untargeted(labels.slice(0, 6)), {
      rng,
      mask,
      keys,
    });
    expect(seen).toEqual([[225, 102]]);
    expect([...success.data]).toEqual([1, 1, 0, 1, 0, 1]);
  });

  it("refuses options that make no sense", () => {
    expect(() => autoAttack({ epsilon: -1 })).toThrow('"epsilon" expected a number >= 0, got -1');
    expect(() => autoAttack({ epsilon: 1, version: "custom" as "plus" })).toThrow(
      '"version" expected "standard", "plus" or "rand", got "custom"',
    );
  });
});

function untouched(n: number, x: AttackResult["adversarial"]): AttackResult {
  const none = { dtype: "int32", shape: [n], data: new Int32Array(n) } as const;
  return {
    adversarial: x,
    success: { dtype: "bool", shape: [n], data: new Uint8Array(n) },
    distance: { dtype: "float32", shape: [n], data: new Float32Array(n) },
    queries: none,
    gradients: none,
  };
}

// The reference on the same network and digits, three seeds: vectors/generate-autoattack.py. Which of the digits at the
// edge fall depends on the seed, there and here: one of 25 is allowed for. Our seed is fixed.
describe.each(["linf", "l2", "l1"] as const)("as strong as the reference: %s", (norm) => {
  const count = 25;
  const inputs = takeRows(paddedDigits, range(0, count));
  const goal = untargeted(labels.slice(0, count));
  const { epsilon, held } = reference.ensemble[norm];

  it("every member alone, and all together", async () => {
    const all = new Array<number>(count).fill(1);
    const ours: Record<string, number> = {};
    for (const { name, attack } of autoAttackMembers({ norm, epsilon })) {
      const { success } = await attack(paddedModel, inputs, goal, { rng: createRng(0) });
      ours[name] = count - success.data.reduce((sum, reached) => sum + reached, 0);
      success.data.forEach((reached, i) => {
        if (reached === 1) all[i] = 0;
      });
    }
    ours.all = all.reduce((sum, holds) => sum + holds, 0);
    for (const [member, seeds] of Object.entries(held)) {
      const theirs = seeds.map((flags) => [...flags.slice(0, count)].filter((flag) => flag === "1").length);
      expect(ours[member], member).toBeLessThanOrEqual(Math.max(...theirs) + (member === "all" ? 0 : 1));
    }
    // What the reference breaks with every seed falls here, too, but for one at most.
    const missed = all.filter((holds, i) => holds === 1 && held.all.every((flags) => flags[i] === "0"));
    expect(missed.length).toBeLessThanOrEqual(1);
  }, 120_000);
});
