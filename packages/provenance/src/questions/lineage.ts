import { expected } from "@parapet/core";
import { type GraphNode, orderOf } from "../graph.ts";
import type { Activity, Artefact, Run } from "../run.ts";

/** A step, and the run that it belongs to. */
export interface StepOfRun {
  readonly run: Run;
  readonly activity: Activity;
}

/** Where an artefact came from. */
export interface Lineage {
  readonly artefact: Artefact;
  /** All steps on the way, each after those that it depends on. */
  readonly steps: readonly StepOfRun[];
  /** What it began with: data, base models, code that no step made, or a step that used nothing, such as one that loads. */
  readonly sources: readonly Artefact[];
  /** All that lies on the way, sources too, in their order. */
  readonly artefacts: readonly Artefact[];
}

/**
 * Where an artefact came from: everything that it was made from, directly or through others, over all runs that are given.
 *
 * @param runs - one or more that share artefacts
 * @param artefact - its id
 * @returns steps and sources, in their order
 * @throws RangeError for an artefact that is in none of the runs; ParapetError `provenance/cycle`
 *
 * @example
 * ```ts
 * import { createRecorder, lineage, memoryJournal } from "@parapet/provenance";
 * const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 * const data = await recorder.artefact({ kind: "dataset", name: "mnist", content: "digits" });
 * const model = await recorder.step({ kind: "train", name: "Train" }, (step) => {
 *   step.use(data, "training data", { count: 60_000, all: true });
 *   return step.make({ kind: "model", name: "digits", content: "weights" }, "weights");
 * });
 * const { sources, steps } = lineage(await recorder.finish(), model.id);
 * console.log(sources.map(({ name }) => name).join(), steps.length); // => mnist 1
 * ```
 */
export function lineage(runs: Run | readonly Run[], artefact: string): Lineage {
  const { nodes, edges } = orderOf(runs);
  const target = nodes.findIndex(({ type, key }) => type === "artefact" && key === artefact);
  if (target < 0) throw new RangeError(expected("artefact", "the id of an artefact of the runs", artefact));
  const before: number[][] = nodes.map(() => []);
  for (const [from, to] of edges) before[to]!.push(from);
  const wanted = new Set([target]);
  for (const place of wanted) for (const from of before[place]!) wanted.add(from);
  const way = [...wanted].sort((a, b) => a - b);
  const artefacts = way.flatMap((place) => artefactAt(nodes[place]!));
  return {
    artefact: artefactAt(nodes[target]!)[0]!,
    steps: way.flatMap((place) => {
      const node = nodes[place]!;
      return node.type === "activity" ? [{ run: node.run, activity: node.activity }] : [];
    }),
    sources: way.flatMap((place) => {
      const makers = before[place]!;
      const isSource = makers.length === 0 || makers.some((maker) => before[maker]!.length === 0);
      return isSource ? artefactAt(nodes[place]!) : [];
    }),
    artefacts,
  };
}

const artefactAt = (node: GraphNode): readonly Artefact[] => (node.type === "artefact" ? [node.artefact] : []);
