import { checkNumber, expected } from "@parapet/core";
import { type Activity, type Artefact, activityKinds, artefactKinds, type Run, states, type Use } from "./run.ts";

/** A run with what is asked of it again and again: what has an identity, what made it, what used it. */
export interface IndexedRun {
  readonly run: Run;
  readonly artefacts: ReadonlyMap<string, Artefact>;
  /** The steps that made an artefact, by its identity. */
  readonly makers: ReadonlyMap<string, readonly Activity[]>;
  /** The steps that used it. */
  readonly users: ReadonlyMap<string, readonly Activity[]>;
}

const IDENTITY = /^sha256:[0-9a-f]{64}$/;
/**
 * Looks over a run once: identities are digests and stand once, kinds and states are known, every use is of an artefact
 * that is there, figures are finite.
 * Throws RangeError.
 */
export function indexRun(run: Run): IndexedRun {
  if (!Array.isArray(run?.artefacts) || !Array.isArray(run.activities)) {
    throw new TypeError(expected("run", "a run with its artefacts and activities", run));
  }
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(run.id)) {
    throw new RangeError(expected("run.id", "a UUID", run.id));
  }
  const artefacts = new Map<string, Artefact>();
  for (const artefact of run.artefacts as readonly Artefact[]) {
    if (!IDENTITY.test(artefact.id)) {
      throw new RangeError(expected("artefact.id", '"sha256:" and 64 hexadecimal digits', artefact.id));
    }
    if (artefacts.has(artefact.id)) throw new RangeError(expected("artefact.id", "to stand once", artefact.id));
    if (!artefactKinds.includes(artefact.kind)) {
      throw new RangeError(expected("artefact.kind", artefactKinds.join(", "), artefact.kind));
    }
    artefacts.set(artefact.id, artefact);
  }
  const makers = new Map<string, Activity[]>();
  const users = new Map<string, Activity[]>();
  const note = (map: Map<string, Activity[]>, uses: readonly Use[], activity: Activity) => {
    for (const id of new Set(uses.map(({ artefact }) => artefact))) {
      if (!artefacts.has(id)) {
        throw new RangeError(expected("artefact", `an artefact of the run in step ${JSON.stringify(activity.id)}`, id));
      }
      const known = map.get(id);
      if (known) known.push(activity);
      else map.set(id, [activity]);
    }
  };
  const steps = new Set<string>();
  for (const activity of run.activities as readonly Activity[]) {
    if (steps.has(activity.id)) throw new RangeError(expected("activity.id", "to stand once", activity.id));
    steps.add(activity.id);
    if (!activityKinds.includes(activity.kind)) {
      throw new RangeError(expected("activity.kind", activityKinds.join(", "), activity.kind));
    }
    if (!states.includes(activity.status)) {
      throw new RangeError(expected("activity.status", states.join(", "), activity.status));
    }
    note(users, activity.used, activity);
    note(makers, activity.made, activity);
    for (const value of Object.values(activity.metrics)) checkNumber("metric", value);
    for (const value of Object.values(activity.seeds)) checkNumber("seed", value);
  }
  return { run, artefacts, makers, users };
}

/** The artefact, or RangeError. */
export function artefactOf({ artefacts }: IndexedRun, id: string, name = "artefact"): Artefact {
  const artefact = artefacts.get(id);
  if (artefact === undefined) throw new RangeError(expected(name, "the id of an artefact of the run", id));
  return artefact;
}

/** The 64 digits of an identity. */
export const digestOf = ({ id }: Pick<Artefact, "id">): string => id.slice("sha256:".length);

/** The models that came out: made by a step, and not made into another model by a later one. */
export function modelsOut({ run, makers, artefacts }: IndexedRun): readonly Artefact[] {
  const isModel = ({ artefact }: Use) => artefacts.get(artefact)!.kind === "model";
  const consumed = new Set<string>();
  for (const { used, made } of run.activities) {
    if (made.some(isModel)) for (const { artefact } of used.filter(isModel)) consumed.add(artefact);
  }
  return run.artefacts.filter(({ id, kind }) => kind === "model" && makers.has(id) && !consumed.has(id));
}

/** What an artefact was made from, directly and through others, nearest first; each once. */
export function ancestorsOf({ makers, artefacts }: IndexedRun, id: string): readonly Artefact[] {
  const seen = new Set([id]);
  const found: Artefact[] = [];
  const queue = [id];
  for (let at = 0; at < queue.length; at++) {
    for (const { used } of makers.get(queue[at]!) ?? []) {
      for (const { artefact } of used) {
        if (seen.has(artefact)) continue;
        seen.add(artefact);
        queue.push(artefact);
        found.push(artefacts.get(artefact)!);
      }
    }
  }
  return found;
}
