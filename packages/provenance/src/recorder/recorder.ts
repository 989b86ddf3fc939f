import type { Json } from "@parapet/attestation";
import { canonicalJson, fromUtf8 } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { type HashFunction, portableHash } from "../merkle/tree.ts";
import type { Activity, ActivityKind, Artefact, CodeVersion, Environment, RecordsSeen, Run, Use } from "../run.ts";
import { type ArtefactOptions, describeArtefact } from "./artefact.ts";
import { type RunEvent, runOf } from "./events.ts";
import { chainLine, type Journal, readChain } from "./journal.ts";
import { checkEvents } from "./read-run.ts";
import { createRedactor, redactAll } from "./redact.ts";

/** Options of `createRecorder`. */
export interface RecorderOptions {
  /** What the run is called. */
  readonly name: string;
  /** Which code runs: `codeVersion` of `./node` asks git. */
  readonly code?: CodeVersion;
  /** Where it runs: `environment` of `./node`. */
  readonly environment?: Environment;
  /** Texts that are to stand nowhere: `environmentSecrets` of `./node`. */
  readonly secrets?: readonly string[];
  readonly now?: () => Date;
  /** SHA-256; default: in JavaScript. `nodeHash256` of `./node` is faster. */
  readonly hash?: HashFunction;
}

/** What a step is, before it begins. */
export interface StepOptions {
  readonly kind: ActivityKind;
  readonly name: string;
  /** What it uses, as far as that is known. */
  readonly used?: readonly Use[];
  readonly parameters?: Readonly<Record<string, Json>>;
  readonly seeds?: Readonly<Record<string, number>>;
}

/** A step that runs: what it does is said here. */
export interface Step {
  readonly id: string;
  /** It uses an artefact, or some records of it. */
  readonly use: (artefact: Artefact, role: string, records?: RecordsSeen) => void;
  /** It made an artefact. */
  readonly make: (artefact: ArtefactOptions | Artefact, role: string) => Artefact;
  /** It measured something: finite numbers by name. */
  readonly measure: (metrics: Readonly<Record<string, number>>) => void;
}

/** Records what a training script does. */
export interface Recorder {
  /** Notes something that is there before the run, such as a dataset. */
  readonly artefact: (artefact: ArtefactOptions | Artefact) => Promise<Artefact>;
  /** Runs a step, and records what it used, made and measured, or how it failed. Steps may run at the same time. */
  readonly step: <T>(options: StepOptions, work: (step: Step) => T | Promise<T>) => Promise<T>;
  /** The step of this name as it was done before the program was killed: to take its result from where it was kept. */
  readonly done: (name: string) => Activity | undefined;
  /** All that is recorded so far. */
  readonly run: () => Run;
  /** Ends the run. */
  readonly finish: (status?: "done" | "failed") => Promise<Run>;
}

/**
 * Records what a training script does, as a graph of artefacts and steps. Each event is on the disk before the script goes on.
 *
 * A journal that holds the beginning of a run goes on with it: steps that were under way when the program was killed are
 * interrupted; a step that was done and is done again with the same outcome is not recorded twice.
 *
 * @param journal - `memoryJournal()`, or `fileJournal(path)` of `./node`
 * @param options - name, code, environment
 * @returns the recorder
 * @throws ParapetError `provenance/changed` or `/malformed` for a journal that was changed
 *
 * @example
 * ```ts
 * import { createRecorder, memoryJournal } from "@parapet/provenance";
 * const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 * const data = await recorder.artefact({ kind: "dataset", name: "mnist", content: "60,000 digits" });
 * const accuracy = await recorder.step({ kind: "train", name: "Train", seeds: { shuffle: 0 } }, async (step) => {
 *   step.use(data, "training data", { count: 60_000, all: true });
 *   step.make({ kind: "model", name: "digits", content: new Uint8Array(100) }, "weights");
 *   step.measure({ accuracy: 0.98 });
 *   return 0.98;
 * });
 * const run = await recorder.finish();
 * console.log(accuracy, run.activities[0]!.status, run.artefacts.length); // => 0.98 done 2
 * ```
 *
 * Source: the vocabulary is that of W3C PROV-DM, in plain words.
 */
export async function createRecorder(journal: Journal, options: RecorderOptions): Promise<Recorder> {
  const { now = () => new Date(), hash = portableHash } = options;
  if (typeof options.name !== "string" || options.name === "")
    throw new TypeError(expected("name", "what the run is called", options.name));
  const clean = createRedactor(options.secrets);
  const chain = readChain(await journal.read());
  const events: RunEvent[] = [...checkEvents(chain.events)];
  let head = chain.head;
  const time = () => now().toISOString();

  // Concurrent events share one write: what comes while one is under way waits for the next.
  let waiting: { readonly line: Uint8Array; readonly done: () => void; readonly fail: (error: unknown) => void }[] = [];
  let writing = false;
  const write = async () => {
    if (writing) return;
    writing = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      const bytes = new Uint8Array(batch.reduce((sum, { line }) => sum + line.length, 0));
      let at = 0;
      for (const { line } of batch) {
        bytes.set(line, at);
        at += line.length;
      }
      try {
        await journal.append(bytes);
        for (const { done } of batch) done();
      } catch (error) {
        for (const { fail } of [...batch, ...waiting]) fail(error);
        waiting = [];
        broken = error;
      }
    }
    writing = false;
  };
  let broken: unknown;
  /** Adds events at once, and resolves when they are on the disk. */
  const add = (...more: readonly RunEvent[]): Promise<unknown> => {
    if (broken !== undefined) return Promise.reject(broken);
    return Promise.all(
      more.map(
        (event) =>
          new Promise<void>((done, fail) => {
            const kept = redactAll(event, clean);
            const link = chainLine(kept as unknown as Json, head);
            events.push(kept);
            head = link.head;
            waiting.push({ line: link.line, done, fail });
            void write();
          }),
      ),
    );
  };

  await journal.truncate(chain.length);
  if (events.length === 0) {
    const { code = {}, environment = unknownEnvironment } = options;
    await add({
      type: "begin",
      id: globalThis.crypto.randomUUID(),
      name: options.name,
      time: time(),
      code,
      environment,
    });
  } else {
    const { name } = events[0] as { readonly name: string };
    if (name !== clean(options.name))
      throw new RangeError(expected("name", `${JSON.stringify(name)}, of the run in this journal`, options.name));
    await add({ type: "resume", time: time() });
  }

  const before = runOf(events);
  const old = new Map(before.activities.map((step) => [step.id, step]));
  const artefacts = new Map(before.artefacts.map((artefact) => [artefact.id, artefact]));
  const taken = new Set<string>();

  /** The artefact, and the event that notes it, where it is new. */
  const noted = (given: ArtefactOptions | Artefact): readonly [Artefact, ...RunEvent[]] => {
    const artefact = redactAll(describeArtefact(given, hash), clean);
    const there = artefacts.get(artefact.id);
    if (there !== undefined) return [there];
    artefacts.set(artefact.id, artefact);
    return [artefact, { type: "artefact", artefact }];
  };
  const known = ({ id }: Artefact): string => {
    if (!artefacts.has(id)) throw new RangeError(expected("artefact", "one that the recorder was given", id));
    return id;
  };
  const idOf = (name: string) => {
    const plain = plainId(name);
    let id = plain;
    for (let i = 2; taken.has(id); i++) id = `${plain}-${i}`;
    taken.add(id);
    return id;
  };

  return {
    async artefact(given) {
      const [artefact, ...news] = noted(given);
      await add(...news);
      return artefact;
    },
    async step(given, work) {
      const { kind, name, parameters = {}, seeds = {} } = given;
      const first = idOf(name);
      const earlier = lastAttempt(old, first);
      const id = earlier === undefined || earlier.status === "done" ? first : nextAttempt(old, first);
      const used: Use[] = (given.used ?? []).map((use) => ({
        ...use,
        artefact: known({ id: use.artefact } as Artefact),
      }));
      const made: Use[] = [];
      const metrics: Record<string, number> = {};
      const news: RunEvent[] = [];
      const start: RunEvent = { type: "start", id, kind, name, time: time(), used, parameters, seeds };
      const again = earlier?.status === "done";
      if (!again) await add(start);
      const step: Step = {
        id,
        use(artefact, role, records) {
          used.push({ artefact: known(artefact), role, ...(records === undefined ? {} : { records }) });
        },
        make(what, role) {
          const [artefact, ...event] = noted(what);
          news.push(...event);
          made.push({ artefact: artefact.id, role });
          return artefact;
        },
        measure(more) {
          for (const [metric, value] of Object.entries(more)) {
            if (!Number.isFinite(value)) throw new RangeError(expected(`metrics.${metric}`, "a finite number", value));
            metrics[metric] = value;
          }
        },
      };
      const end = async (status: "done" | "failed" | "interrupted", error?: unknown) => {
        const finish: RunEvent = {
          ...{ type: "finish", id, time: time(), status, used: [...used], made: [...made], metrics: { ...metrics } },
          ...(error === undefined ? {} : { error: messageOf(error) }),
        };
        if (!again) return add(...news, finish);
        if (status === "done" && sameOutcome(earlier, { ...given, used, made }, clean)) return undefined;
        const other = nextAttempt(old, first);
        return add({ ...start, id: other }, ...news, { ...finish, id: other });
      };
      let result: Awaited<ReturnType<typeof work>>;
      try {
        result = await work(step);
      } catch (error) {
        await end((error as Error)?.name === "AbortError" ? "interrupted" : "failed", error);
        throw error;
      }
      await end("done");
      return result;
    },
    done(name) {
      const id = plainId(name);
      const attempt = lastAttempt(old, id);
      return attempt?.status === "done" ? attempt : undefined;
    },
    run: () => runOf(events),
    async finish(status = "done") {
      await add({ type: "end", time: time(), status });
      return runOf(events);
    },
  };
}

const unknownEnvironment: Environment = { runtime: "unknown", platform: "unknown", packages: {}, variables: {} };

/** A step's name as an id. */
const plainId = (name: string): string =>
  name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "") || "step";

const messageOf = (error: unknown): string => {
  const { name, message } = error as Partial<Error>;
  return `${name ?? "Error"}: ${message ?? String(error)}`.slice(0, 1000);
};

/** Attempts at one step are called "train", "train.2", "train.3". */
function lastAttempt(steps: ReadonlyMap<string, Activity>, id: string): Activity | undefined {
  let last = steps.get(id);
  for (let i = 2; steps.has(`${id}.${i}`); i++) last = steps.get(`${id}.${i}`);
  return last;
}

function nextAttempt(steps: ReadonlyMap<string, Activity>, id: string): string {
  let i = 2;
  while (steps.has(`${id}.${i}`)) i++;
  return `${id}.${i}`;
}

/** Whether a step did again what it did before. */
function sameOutcome(
  before: Activity,
  after: StepOptions & Pick<Activity, "made" | "used">,
  clean: (text: string) => string,
): boolean {
  const about = ({ kind, parameters = {}, seeds = {}, used, made }: typeof after | Activity) =>
    fromUtf8(canonicalJson(redactAll({ kind, parameters, seeds, used, made }, clean) as unknown as Json));
  return about(before) === about(after);
}
