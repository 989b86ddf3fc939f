import { canonicalJson, fromUtf8, type Json } from "@parapet/attestation";
import type { Activity, Run } from "../run.ts";

/** One thing in which two runs differ. */
export interface Difference {
  /** Where: "code", "environment", a step's id. */
  readonly where: string;
  /** What differs there, such as "commit", "parameters.rate", "used: training data". */
  readonly what: string;
  /** In the first run; undefined where it is missing there. */
  readonly first: Json | undefined;
  readonly second: Json | undefined;
  /** A cause was given from outside; an effect was measured or made. */
  readonly role: "cause" | "effect";
}

/**
 * Why two models differ: everything in which the runs differ that made them, causes first. Times and identities of runs are
 * passed over; steps belong together when they have the same id.
 *
 * @param first - a run
 * @param second - another one
 * @returns the differences; none when both did the same
 *
 * @example
 * ```ts
 * import { createRecorder, diff, memoryJournal } from "@parapet/provenance";
 * const train = async (rate: number) => {
 *   const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 *   await recorder.step({ kind: "train", name: "Train", parameters: { rate } }, (step) => step.measure({ loss: rate / 2 }));
 *   return recorder.finish();
 * };
 * const [why, effect] = diff(await train(0.1), await train(0.2));
 * console.log(why!.what, why!.first, why!.second, effect!.what); // => parameters.rate 0.1 0.2 metrics.loss
 * ```
 */
export function diff(first: Run, second: Run): readonly Difference[] {
  const found: Difference[] = [];
  const note = (role: Difference["role"], where: string, what: string, a: unknown, b: unknown) => {
    if (textOf(a) !== textOf(b)) found.push({ where, what, first: a as Json, second: b as Json, role });
  };
  const members = (role: Difference["role"], where: string, prefix: string, a: object, b: object) => {
    for (const name of new Set([...Object.keys(a), ...Object.keys(b)])) {
      note(role, where, `${prefix}${name}`, own(a, name), own(b, name));
    }
  };
  members("cause", "code", "", first.code, second.code);
  const { packages: firstPackages, variables: firstVariables, ...firstPlace } = first.environment;
  const { packages, variables, ...place } = second.environment;
  members("cause", "environment", "", firstPlace, place);
  members("cause", "environment", "packages.", firstPackages, packages);
  members("cause", "environment", "variables.", firstVariables, variables);
  const [before, after] = [stepsOf(first), stepsOf(second)];
  for (const id of new Set([...before.keys(), ...after.keys()])) {
    const [a, b] = [before.get(id), after.get(id)];
    if (a === undefined || b === undefined) {
      note("cause", id, "step", a && `${a.kind} "${a.name}"`, b && `${b.kind} "${b.name}"`);
      continue;
    }
    note("cause", id, "kind", a.kind, b.kind);
    members("cause", id, "parameters.", a.parameters, b.parameters);
    members("cause", id, "seeds.", a.seeds, b.seeds);
    // What a step took from an earlier one is an effect of that one.
    const made = [first, second].map(
      (run) => new Set(run.activities.flatMap((step) => step.made.map((use) => use.artefact))),
    );
    for (const role of new Set([...a.used, ...b.used].map((use) => use.role))) {
      const [x, y] = [a, b].map((step) =>
        step.used
          .filter((use) => use.role === role)
          .map(({ artefact, records }) => ({ artefact, ...(records && { records }) })),
      );
      const inner = [...x!, ...y!].every(({ artefact }, i) => made[i < x!.length ? 0 : 1]!.has(artefact));
      note(inner ? "effect" : "cause", id, `used: ${role}`, x, y);
    }
    members("effect", id, "metrics.", a.metrics, b.metrics);
    for (const role of new Set([...a.made, ...b.made].map((use) => use.role))) {
      const [x, y] = [a, b].map((step) => step.made.filter((use) => use.role === role).map(({ artefact }) => artefact));
      note("effect", id, `made: ${role}`, x, y);
    }
    note("effect", id, "status", a.status, b.status);
    note("effect", id, "error", a.error, b.error);
  }
  return found.sort((a, b) => (a.role === b.role ? 0 : a.role === "cause" ? -1 : 1));
}

const stepsOf = ({ activities }: Run): ReadonlyMap<string, Activity> =>
  new Map(activities.map((step) => [step.id, step]));
const own = (value: object, name: string): unknown =>
  Object.hasOwn(value, name) ? (value as Readonly<Record<string, unknown>>)[name] : undefined;
const textOf = (value: unknown): string => (value === undefined ? "" : fromUtf8(canonicalJson(value as Json)));
