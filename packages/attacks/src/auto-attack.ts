import {
  type Attack,
  type AttackContext,
  checkNorm,
  checkNumber,
  distance,
  expected,
  type NdArray,
  type Norm,
  takeRows,
} from "@parapet/core";
import { apgd } from "./apgd.ts";
import { fab } from "./fab.ts";
import { openRun, range } from "./shared/run.ts";
import { square } from "./square.ts";

/** Which ensemble: "standard" for most models, "plus" for a longer run, "rand" for randomised models. */
export type AutoAttackVersion = "standard" | "plus" | "rand";

/** Options of `autoAttackMembers`. */
export interface AutoAttackMembersOptions {
  /** Radius of the ball, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". */
  readonly norm?: Norm;
  /** Default "standard". */
  readonly version?: AutoAttackVersion;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/** Options of `autoAttack`. */
export interface AutoAttackOptions extends AutoAttackMembersOptions {
  /** Called after each member, with the rows that it broke and that no member before it had broken. */
  readonly onMember?: (event: { readonly member: string; readonly broken: Int32Array }) => void;
}

/** One attack of the ensemble. */
export interface AutoAttackMember {
  readonly name: "apgd-ce" | "apgd-dlr" | "apgd-t" | "fab" | "fab-t" | "square";
  readonly attack: Attack;
}

/**
 * The attacks of AutoAttack in their order, with the published parameters. Run one after the other, each on the examples
 * that still hold, they are `autoAttack`; one by one they tell who broke what, and may stop and go on between two members.
 *
 * | version | members |
 * | --- | --- |
 * | standard | `apgd-ce`, `apgd-t` (9 classes), `fab-t` (9 classes), `square` (5000 queries); in l1 `apgd-ce` with 5 restarts and `apgd-t` with 5 classes, both through wider balls first |
 * | plus | `apgd-ce` and `apgd-dlr` (5 restarts), `fab` (5 restarts), `square`, `apgd-t`, `fab-t` |
 * | rand | `apgd-ce` and `apgd-dlr`, each gradient averaged over 20 draws |
 *
 * Every run of APGD and FAB has 100 steps.
 *
 * @param options - ball and version
 * @returns names and attacks
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { autoAttackMembers } from "@parapet/attacks";
 * console.log(autoAttackMembers({ epsilon: 0.3 }).map(({ name }) => name).join(" ")); // => apgd-ce apgd-t fab-t square
 * ```
 *
 * Source and differences: as `autoAttack`.
 */
export function autoAttackMembers(options: AutoAttackMembersOptions): readonly AutoAttackMember[] {
  const { epsilon, norm = "linf", version = "standard", batchSize = 128 } = options;
  checkNorm(norm);
  checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  const all = { epsilon, norm, batchSize };
  const ce = { ...all, loss: "cross-entropy" } as const;
  const ratio = { ...all, loss: "difference-of-logits-ratio" } as const;
  const targetedRatio = { ...all, loss: "targeted-difference-of-logits-ratio" } as const;
  // Only whether there is a success within epsilon counts here, not how near it is.
  const border = { ...all, earlyStop: true };
  const search: AutoAttackMember = { name: "square", attack: square({ ...all, queries: 5000, rescale: false }) };
  const fabT: AutoAttackMember = { name: "fab-t", attack: fab({ ...border, targeted: true, targets: 9, restarts: 1 }) };
  switch (version) {
    case "standard": {
      const sparse = norm === "l1";
      return [
        { name: "apgd-ce", attack: apgd({ ...ce, restarts: sparse ? 5 : 1, widerFirst: sparse }) },
        { name: "apgd-t", attack: apgd({ ...targetedRatio, targets: sparse ? 5 : 9, widerFirst: sparse }) },
        fabT,
        search,
      ];
    }
    case "plus":
      return [
        { name: "apgd-ce", attack: apgd({ ...ce, restarts: 5 }) },
        { name: "apgd-dlr", attack: apgd({ ...ratio, restarts: 5 }) },
        { name: "fab", attack: fab({ ...border, restarts: 5 }) },
        search,
        { name: "apgd-t", attack: apgd({ ...targetedRatio, targets: 9 }) },
        fabT,
      ];
    case "rand":
      return [
        { name: "apgd-ce", attack: apgd({ ...ce, samples: 20 }) },
        { name: "apgd-dlr", attack: apgd({ ...ratio, samples: 20 }) },
      ];
    default:
      throw new TypeError(expected("version", '"standard", "plus" or "rand"', version));
  }
}

/**
 * AutoAttack: an ensemble of attacks without parameters to tune, each on the examples that the ones before it could not
 * break. Accuracy under it is the usual figure for the robustness of a model.
 *
 * `standard` is Auto-PGD on cross-entropy and on the targeted difference of logits ratio, targeted FAB, and Square Attack,
 * which needs no gradients; `autoAttackMembers` lists all versions. Any number of classes from 2 up will do: where there
 * are fewer than 10 the targeted attacks try all others, and where the ratio is undefined (fewer than 3 classes, targeted
 * fewer than 4) Auto-PGD climbs the difference of logits instead.
 *
 * Queries and gradients are summed over the members. An example that holds comes back as the point that the first member
 * left. To stop and go on later, run the members of `autoAttackMembers` yourself.
 *
 * @param options - ball and version
 * @returns an attack on models with gradients
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { autoAttack } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]); // the border lies at 0.3692 in linf
 * const broken: string[] = [];
 * const attack = autoAttack({ epsilon: 0.38, onMember: (event) => broken.push(`${event.broken.length} by ${event.member}`) });
 * const { success } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(success.data[0], broken.join()); // => 1 1 by apgd-ce
 * ```
 *
 * Source: F. Croce and M. Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of Diverse Parameter-free
 * Attacks", 2020, https://arxiv.org/abs/2003.01690, section 6; parameters and versions as in the authors' code
 * (fra31/auto-attack). Differences from it: any number of classes from 2 up; each member leaves an example at its first
 * success within epsilon; what the members' own pages say.
 */
export function autoAttack(options: AutoAttackOptions): Attack {
  return inSequence(autoAttackMembers(options), options);
}

/** Attacks one after the other, each on the examples that still hold. */
export function inSequence(
  members: readonly { readonly name: string; readonly attack: Attack }[],
  options: Pick<AutoAttackOptions, "norm" | "onMember">,
): Attack {
  const { norm = "linf", onMember } = options;
  return async (model, input, goal, context) => {
    const run = openRun("auto-attack", model, input, goal, context);
    const { n, x, width, queries, gradients, progress } = run;
    const adversarial = x.data.slice();
    const success = new Uint8Array(n);
    for (const [at, { name, attack }] of members.entries()) {
      const open = range(0, n).filter((row) => success[row] === 0);
      if (open.length === 0) break;
      const result = await attack(model, takeRows(x, open), goal.take(open), {
        ...contextOf(context, open, x),
        onProgress: ({ done, total }) =>
          progress(at * n + n - open.length + open.length * (done / total), members.length * n),
      });
      const broken: number[] = [];
      for (let i = 0; i < open.length; i++) {
        const row = open[i]!;
        queries[row]! += result.queries.data[i]!;
        gradients[row]! += result.gradients.data[i]!;
        if (result.success.data[i] === 1) broken.push(row);
        else if (at > 0) continue;
        success[row] = result.success.data[i]!;
        adversarial.set(result.adversarial.data.subarray(i * width, (i + 1) * width), row * width);
      }
      onMember?.({ member: name, broken: Int32Array.from(broken) });
    }
    progress(members.length * n, members.length * n);
    const found: NdArray = { dtype: "float32", shape: [...x.shape], data: adversarial };
    return {
      adversarial: found,
      success: { dtype: "bool", shape: [n], data: success },
      distance: distance(found, x, norm),
      queries: { dtype: "int32", shape: [n], data: queries },
      gradients: { dtype: "int32", shape: [n], data: gradients },
    };
  };
}

/** The context of some of the examples. */
function contextOf({ mask, keys, ...context }: AttackContext, rows: Int32Array, x: NdArray): AttackContext {
  const all = mask !== undefined && mask.data.length === x.data.length;
  return {
    ...context,
    ...(mask === undefined ? {} : { mask: all ? takeRows({ ...mask, shape: x.shape }, rows) : mask }),
    ...(keys === undefined ? {} : { keys: Uint32Array.from(rows, (row) => keys[row]!) }),
  };
}
