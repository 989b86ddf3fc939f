import { equalBytes, fromHex } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { indexStreamDigest } from "../datasets/index-stream.ts";
import { orderOf } from "../graph.ts";
import type { Artefact, RecordsSeen, Run } from "../run.ts";
import type { StepOfRun } from "./lineage.ts";

/** A record, wherever it is: by its commitment in the datasets that may hold it. */
export interface RecordQuestion {
  /** The record's commitment, 64 hexadecimal digits. */
  readonly commitment: string;
  /** Commitments of datasets by their ids; of a dataset that is missing here nobody can say whether it holds the record. */
  readonly datasets: ReadonlyMap<string, { readonly commitments: Uint8Array }>;
  /** Index streams that steps saw, where they were kept, in any order. */
  readonly indices?: Iterable<ArrayLike<number>>;
}

/** Something that was made with the help of what is asked about. */
export interface Impact {
  readonly artefact: Artefact;
  /** "seen": it is certain. "possible": a step used records, and which ones it was is not known. */
  readonly certainty: "seen" | "possible";
  /** One of the steps that brought it there, the last one. */
  readonly by: StepOfRun;
}

/**
 * What a dataset, a record or a model went into: which models saw it, and which were made from those. For requests to
 * erase, and for recalls of data that was poisoned.
 *
 * @param runs - all runs that are known
 * @param what - the id of an artefact, or a record
 * @returns models (and datasets) that are concerned, in their order; "possible" ones have to be treated as concerned, too
 * @throws RangeError for an artefact that is in none of the runs, and for a commitment that is none; ParapetError `provenance/cycle`
 *
 * @example
 * ```ts
 * import { createDataset, createRecorder, impact, memoryJournal } from "@parapet/provenance";
 * import { toHex } from "@parapet/attestation";
 * const dataset = await createDataset([{ digit: 1 }, { digit: 2 }], { name: "two digits" });
 * const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 * const data = await recorder.artefact({ manifest: dataset.manifest });
 * await recorder.step({ kind: "train", name: "Train" }, (step) => {
 *   step.use(data, "training data", { count: 2, all: true });
 *   step.make({ kind: "model", name: "digits", content: "weights" }, "weights");
 * });
 * const commitment = toHex(dataset.commitments.subarray(32));
 * const found = impact([await recorder.finish()], { commitment, datasets: new Map([[data.id, dataset]]) });
 * console.log(found.map(({ artefact, certainty }) => `${artefact.name} ${certainty}`).join()); // => digits seen
 * ```
 */
export function impact(runs: Run | readonly Run[], what: string | RecordQuestion): readonly Impact[] {
  const { nodes, edges } = orderOf(runs);
  const before: number[][] = nodes.map(() => []);
  for (const [from, to] of edges) before[to]!.push(from);
  const holders = typeof what === "string" ? undefined : holdersOf(what);
  if (typeof what === "string" && !nodes.some(({ type, key }) => type === "artefact" && key === what))
    throw new RangeError(expected("what", "the id of an artefact of the runs", what));
  const touched = new Map<number, "seen" | "possible">();
  const found: Impact[] = [];
  for (const [place, node] of nodes.entries()) {
    if (node.type === "artefact") {
      const { artefact } = node;
      if (holders === undefined ? artefact.id === what : artefact.kind === "dataset") {
        const certainty = holders === undefined ? "seen" : holders.certainty(artefact.id);
        // A dataset that is known not to hold the record ends the way, whatever it was made from.
        if (certainty !== undefined) touched.set(place, certainty);
        if (holders !== undefined) continue;
      }
      const maker =
        before[place]!.find((from) => touched.get(from) === "seen") ?? before[place]!.find((from) => touched.has(from));
      if (maker === undefined) continue;
      const step = nodes[maker]! as Extract<(typeof nodes)[number], { type: "activity" }>;
      const certainty = touched.get(maker)!;
      if (touched.get(place) === undefined) touched.set(place, certainty);
      if (artefact.kind === "model" || artefact.kind === "dataset")
        found.push({ artefact, certainty, by: { run: step.run, activity: step.activity } });
      continue;
    }
    let certainty: "seen" | "possible" | undefined;
    for (const from of before[place]!) {
      const reached = touched.get(from);
      if (reached === undefined) continue;
      const source = nodes[from]! as Extract<(typeof nodes)[number], { type: "artefact" }>;
      for (const { artefact, records } of node.activity.used.filter((use) => use.artefact === source.artefact.id)) {
        const isHolder = holders !== undefined && source.artefact.kind === "dataset";
        const saw = isHolder ? holders.saw(artefact, records) : whole(records, source.artefact);
        if (saw === undefined) continue;
        const one = reached === "possible" || saw === "possible" ? "possible" : "seen";
        if (certainty !== "seen") certainty = one;
      }
    }
    if (certainty !== undefined) touched.set(place, certainty);
  }
  return found;
}

/** Of a dataset as a whole: a step that saw some of its records saw it. Only no record is none. */
const whole = (records: RecordsSeen | undefined, { kind }: Artefact): "seen" | undefined =>
  kind === "dataset" && records?.count === 0 ? undefined : "seen";

function holdersOf({ commitment, datasets, indices = [] }: RecordQuestion) {
  if (!/^[0-9a-f]{64}$/.test(commitment))
    throw new RangeError(expected("commitment", "64 hexadecimal digits", commitment));
  const wanted = fromHex(commitment);
  const streams = new Map([...indices].map((stream) => [indexStreamDigest(stream), stream]));
  const places = new Map<string, ReadonlySet<number>>();
  for (const [id, { commitments }] of datasets) {
    const found = new Set<number>();
    for (let at = 0; at + 32 <= commitments.length; at += 32) {
      if (commitments[at] === wanted[0] && equalBytes(commitments.subarray(at, at + 32), wanted)) found.add(at / 32);
    }
    places.set(id, found);
  }
  return {
    /** Whether a dataset holds the record. */
    certainty(id: string): "seen" | "possible" | undefined {
      const found = places.get(id);
      return found === undefined ? "possible" : found.size > 0 ? "seen" : undefined;
    },
    /** Whether a step that used the dataset saw the record. */
    saw(id: string, records: RecordsSeen | undefined): "seen" | "possible" | undefined {
      if (records === undefined || records.all) return records?.count === 0 ? undefined : "seen";
      const stream = streams.get(records.indices);
      const found = places.get(id);
      if (stream === undefined || found === undefined) return records.count === 0 ? undefined : "possible";
      return Array.from(stream).some((index) => found.has(index)) ? "seen" : undefined;
    },
  };
}
