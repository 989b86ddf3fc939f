import { expected } from "@parapet/core";
import { textOf } from "../exporters/shared.ts";
import { type GraphOrder, orderOf } from "../graph.ts";
import type { Activity, Artefact, Run, Use } from "../run.ts";
import { visible } from "./visible.ts";

/** The graph of runs with what each node came from and what came from it, by their places. */
export interface Lineage extends GraphOrder {
  readonly runs: readonly Run[];
  readonly sources: readonly (readonly number[])[];
  readonly results: readonly (readonly number[])[];
  /** Places of artefacts by identity. */
  readonly places: ReadonlyMap<string, number>;
}

/** Looks over runs and brings them into an order. */
export function lineageOf(runs: Run | readonly Run[]): Lineage {
  const list = Array.isArray(runs) ? (runs as readonly Run[]) : [runs as Run];
  if (list.length === 0) throw new RangeError(expected("runs", "at least one run", "none"));
  const graph = orderOf(list);
  const sources: number[][] = graph.nodes.map(() => []);
  const results: number[][] = graph.nodes.map(() => []);
  for (const [from, to] of graph.edges) {
    sources[to]!.push(from);
    results[from]!.push(to);
  }
  const places = new Map(graph.nodes.flatMap(({ type, key }, i) => (type === "artefact" ? [[key, i] as const] : [])));
  return { ...graph, runs: list, sources, results, places };
}

/**
 * What came out: models that were made, and not made into another model, or, where there is none, whatever was made into nothing.
 */
export function outcomes({ nodes, sources, results }: Lineage): readonly number[] {
  const isModel = (place: number) => {
    const node = nodes[place]!;
    return node.type === "artefact" && node.artefact.kind === "model";
  };
  const ends = (place: number) => !results[place]!.some((step) => results[step]!.some(isModel));
  const all = [...nodes.keys()];
  const models = all.filter((place) => isModel(place) && sources[place]!.length > 0 && ends(place));
  if (models.length > 0) return models;
  return all.filter(
    (place) => nodes[place]!.type === "artefact" && results[place]!.every((step) => !results[step]![0]),
  );
}

/** A count as people read it. */
export const count = (value: number): string => value.toLocaleString("en-US");

/** The time that a step took, or nothing where that is not known. */
export function duration({ started, finished }: Pick<Activity, "started" | "finished">): string | undefined {
  const seconds = finished === undefined ? Number.NaN : Math.round((Date.parse(finished) - Date.parse(started)) / 1000);
  if (!(seconds >= 0)) return undefined;
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Names and values as texts of which nothing is hidden. */
export const pairs = (record: Parameters<typeof Object.entries>[0]): readonly (readonly [string, string])[] =>
  Object.entries(record).map(([name, value]) => [
    visible(name),
    visible(textOf(value as Parameters<typeof textOf>[0])),
  ]);

/** How much of an artefact there is, and under which licence it may be used. */
export function amounts({ kind, records, size, licence }: Artefact): readonly string[] {
  return [
    ...(records === undefined ? [] : [`${count(records)} records`]),
    ...(size === undefined ? [] : [`${count(size)} bytes`]),
    ...(licence === undefined ? (kind === "dataset" ? ["licence not named"] : []) : [visible(licence)]),
  ];
}

/** The part that an artefact played in a step, and which records were seen. */
export function partOf({ role, records }: Use): string {
  const seen =
    records === undefined ? "" : records.all ? `all ${count(records.count)} records` : `${count(records.count)} seen`;
  return [visible(role), seen].filter((text) => text !== "").join(", ");
}
