import type { Json } from "@parapet/attestation";
import type { Activity, ActivityKind, Artefact, CodeVersion, Environment, Run, Use } from "../run.ts";

/** What is written to a journal as it happens. */
export type RunEvent =
  | {
      readonly type: "begin";
      readonly id: string;
      readonly name: string;
      readonly time: string;
      readonly code: CodeVersion;
      readonly environment: Environment;
    }
  | { readonly type: "artefact"; readonly artefact: Artefact }
  | {
      readonly type: "start";
      readonly id: string;
      readonly kind: ActivityKind;
      readonly name: string;
      readonly time: string;
      readonly used: readonly Use[];
      readonly parameters: Readonly<Record<string, Json>>;
      readonly seeds: Readonly<Record<string, number>>;
    }
  | {
      readonly type: "finish";
      readonly id: string;
      readonly time: string;
      readonly status: "done" | "failed" | "interrupted";
      readonly used: readonly Use[];
      readonly made: readonly Use[];
      readonly metrics: Readonly<Record<string, number>>;
      readonly error?: string;
    }
  /** The program was ended in the middle, and goes on: what ran then is interrupted. */
  | { readonly type: "resume"; readonly time: string }
  | { readonly type: "end"; readonly time: string; readonly status: "done" | "failed" | "interrupted" };

/** The run that events tell of. They are in their order, and were written by the recorder. */
export function runOf(events: readonly RunEvent[]): Run {
  const [begin, ...others] = events;
  if (begin?.type !== "begin") throw new RangeError('"events" expected a "begin" first');
  const artefacts: Artefact[] = [];
  const activities = new Map<string, Activity>();
  let ended: Extract<RunEvent, { type: "end" }> | undefined;
  for (const event of others) {
    if (event.type === "artefact") artefacts.push(event.artefact);
    else if (event.type === "start") {
      const { type: _, time, ...step } = event;
      activities.set(step.id, { ...step, started: time, status: "running", made: [], metrics: {} });
    } else if (event.type === "finish") {
      const { type: _, id, time, ...found } = event;
      activities.set(id, { ...activities.get(id)!, ...found, finished: time });
    } else if (event.type === "resume") {
      ended = undefined;
      for (const step of activities.values())
        if (step.status === "running") activities.set(step.id, { ...step, status: "interrupted" });
    } else if (event.type === "end") ended = event;
  }
  const { type: _, time, ...run } = begin;
  return {
    schema: "urn:parapet:evidence:lineage:v1",
    ...run,
    started: time,
    ...(ended === undefined ? {} : { finished: ended.time }),
    status: ended?.status ?? "running",
    artefacts,
    activities: [...activities.values()],
  };
}
