import type { Json } from "@parapet/attestation";
import {
  checkCount,
  checkHex,
  checkId,
  checkList,
  checkText,
  checkTime,
  dictionaryOf,
  jsonOf,
  malformed,
  membersOf,
  type Refuse,
} from "../datasets/strict.ts";
import { orderOf } from "../graph.ts";
import { problem } from "../problem.ts";
import { activityKinds, artefactKinds, type Run, states } from "../run.ts";
import type { RunEvent } from "./events.ts";

const ENDS: readonly unknown[] = ["done", "failed", "interrupted"];
const MOST = 100_000;

type Check = (what: string, value: unknown, refuse: Refuse) => void;

/** The members that are there, each checked by what is said of its name; "?" marks those that may be missing. */
function checkMembers(what: string, value: unknown, checks: Readonly<Record<string, Check>>, refuse: Refuse): void {
  const members = membersOf(what, value, Object.keys(checks), refuse);
  for (const [name, check] of Object.entries(checks)) {
    const plain = name.replace("?", "");
    if (Object.hasOwn(members, plain)) check(`${what}.${plain}`, members[plain], refuse);
  }
}

const oneOf =
  (all: readonly unknown[]): Check =>
  (what, value, refuse) => {
    if (!all.includes(value)) throw refuse(`${what} expected one of ${all.join(", ")}`);
  };
const text: Check = (what, value, refuse) => checkText(what, value, refuse);
const count: Check = (what, value, refuse) => checkCount(what, value, refuse);
const flag: Check = oneOf([true, false]);
const anything: Check = () => {};
const map =
  (check: Check): Check =>
  (what, value, refuse) => {
    const members = Object.entries(dictionaryOf(what, value, refuse));
    if (members.length > 10_000) throw refuse(`${what} expected at most 10,000 members, got ${members.length}`);
    for (const [name, one] of members) check(`${what}.${name.slice(0, 100)}`, one, refuse);
  };
const number: Check = (what, value, refuse) => {
  if (typeof value !== "number" || !Number.isFinite(value)) throw refuse(`${what} expected a finite number`);
};
/** Texts that may be empty, such as the values of variables. */
const anyText: Check = (what, value, refuse) => {
  if (typeof value !== "string" || value.length > 100_000) throw refuse(`${what} expected a text`);
};

const records: Check = (what, value, refuse) => {
  const all = dictionaryOf(what, value, refuse).all;
  flag(`${what}.all`, all, refuse);
  checkMembers(what, value, { count, all: flag, ...(all === true ? {} : { indices: checkHex }) }, refuse);
};
const use: Check = (what, value, refuse) =>
  checkMembers(what, value, { artefact: checkId, role: anyText, "records?": records }, refuse);
const uses: Check = (what, value, refuse) => checkList(what, value, refuse, use, MOST);

const artefact: Check = (what, value, refuse) =>
  checkMembers(
    what,
    value,
    {
      ...{
        id: checkId,
        kind: oneOf(artefactKinds),
        name: anyText,
        "uri?": anyText,
        "mediaType?": anyText,
        "size?": count,
      },
      ...{ "records?": count, "licence?": anyText, "description?": anyText, "notes?": map(anything) },
    },
    refuse,
  );
const started = {
  ...{ id: text, kind: oneOf(activityKinds), name: anyText, used: uses, parameters: map(anything), seeds: map(number) },
} as const;
const ended = { made: uses, metrics: map(number), "error?": anyText } as const;
const activity: Check = (what, value, refuse) =>
  checkMembers(
    what,
    value,
    { ...started, ...ended, started: checkTime, "finished?": checkTime, status: oneOf(states) },
    refuse,
  );
const code: Check = (what, value, refuse) =>
  checkMembers(what, value, { "repository?": text, "commit?": text, "modified?": flag, "entry?": text }, refuse);
const environment: Check = (what, value, refuse) =>
  checkMembers(
    what,
    value,
    { runtime: text, platform: text, "processor?": text, packages: map(anyText), variables: map(anyText) },
    refuse,
  );
const uuid: Check = (what, value, refuse) => {
  if (typeof value !== "string" || !/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value))
    throw refuse(`${what} expected a UUID`);
};

const run: Check = (what, value, refuse) =>
  checkMembers(
    what,
    value,
    {
      ...{ schema: oneOf(["urn:parapet:evidence:lineage:v1"]), id: uuid, name: anyText, started: checkTime },
      ...{ "finished?": checkTime, status: oneOf(states), code, environment },
      artefacts: (where, list) => checkList(where, list, refuse, artefact, MOST),
      activities: (where, list) => checkList(where, list, refuse, activity, MOST),
    },
    refuse,
  );

/** A value as a run: every field, every reference, and nothing made from itself. */
export function checkRun(value: Json): Run {
  run("run", value, malformed);
  const read = value as unknown as Run;
  try {
    orderOf(read);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw problem("provenance/malformed", `run: ${error.message}`, { cause: error });
  }
  return read;
}

/**
 * Reads a run.
 *
 * @param source - JSON: text, or UTF-8
 * @returns the run
 * @throws ParapetError `provenance/malformed` or `/too-large`; `/cycle` when something was made from itself
 *
 * @example
 * ```ts
 * import { readRun } from "@parapet/provenance";
 * try {
 *   readRun('{"schema": "urn:parapet:evidence:lineage:v2"}');
 * } catch (error) {
 *   console.log((error as { code: string }).code); // => provenance/malformed
 * }
 * ```
 */
export function readRun(source: Uint8Array | string): Run {
  return checkRun(jsonOf("run", source, { maxBytes: 1 << 28, maxDepth: 64 }));
}

const kinds: Readonly<Record<string, Readonly<Record<string, Check>>>> = {
  begin: { id: uuid, name: text, time: checkTime, code, environment },
  artefact: { artefact },
  start: { ...started, time: checkTime },
  finish: { id: text, used: uses, ...ended, time: checkTime, status: oneOf(ENDS) },
  resume: { time: checkTime },
  end: { time: checkTime, status: oneOf(ENDS) },
};

/** Events of a journal: each has its form, the first begins the run, and steps end once, after they began. */
export function checkEvents(values: readonly Json[]): readonly RunEvent[] {
  const open = new Set<string>();
  const seen = new Set<string>();
  const known = new Set<string>();
  for (const [i, value] of values.entries()) {
    const what = `event ${i + 1}`;
    const { type } = dictionaryOf(what, value, malformed);
    const checks = typeof type === "string" && Object.hasOwn(kinds, type) ? kinds[type] : undefined;
    if (checks === undefined || (type === "begin") !== (i === 0))
      throw malformed(`${what} expected ${i === 0 ? '"begin"' : "a type that is known, after one begin"}`);
    checkMembers(what, value, { type: text, ...checks }, malformed);
    const event = value as unknown as RunEvent;
    if (event.type === "artefact") known.add(event.artefact.id);
    if (event.type === "start") {
      if (seen.has(event.id)) throw malformed(`${what} expected a step with an id of its own`);
      seen.add(event.id);
      open.add(event.id);
    }
    if (event.type === "finish" && !open.delete(event.id)) throw malformed(`${what} expected a step that runs`);
    if (event.type === "resume") open.clear();
    if (event.type === "start" || event.type === "finish") {
      const all = [...event.used, ...(event.type === "finish" ? event.made : [])];
      if (all.some((one) => !known.has(one.artefact))) throw malformed(`${what} expected artefacts that are known`);
    }
  }
  return values as unknown as readonly RunEvent[];
}
