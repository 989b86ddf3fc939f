import { describe, expect, it } from "vitest";
import { lineageHtml, orderOf } from "../../src/index.ts";
import { lineageData } from "../../src/views/lineage-data.ts";
import { groupsOf } from "../../src/views/lineage-groups.ts";
import { layoutScript } from "../../src/views/lineage-layout.ts";
import { digestFor, hostileRun, largeRun, minimalRun, sampleRun } from "../helpers/sample-run.ts";

const SIZES = { width: 200, height: 50, gapX: 50, gapY: 20 };
type Edge = readonly [number, number];
interface Layout {
  readonly x: number[];
  readonly y: number[];
  readonly routes: [number, number][][];
  readonly width: number;
  readonly height: number;
}
// As it runs in the page.
const layoutGraph = new Function(`${layoutScript}; return layoutGraph;`)() as (
  count: number,
  edges: readonly Edge[],
  sizes: typeof SIZES,
) => Layout;

const runs = { sample: sampleRun, minimal: minimalRun, hostile: hostileRun, large: largeRun(5_000, 5_000) };

describe("the layout", () => {
  it.each(Object.entries(runs))(
    "of the %s run: everything right of what it came from, nothing over another",
    (_, run) => {
      const { nodes, edges } = orderOf(run);
      const { x, y, width, height, routes } = layoutGraph(nodes.length, edges, SIZES);
      for (const [from, to] of edges) expect(x[to]! - x[from]!).toBeGreaterThanOrEqual(SIZES.width + SIZES.gapX);
      const columns = new Map<number, number[]>();
      for (const [i, left] of x.entries()) columns.set(left, [...(columns.get(left) ?? []), y[i]!]);
      for (const column of columns.values()) {
        column.sort((a, b) => a - b);
        for (let i = 1; i < column.length; i++) expect(column[i]! - column[i - 1]!).toBeGreaterThan(SIZES.height);
      }
      expect(Math.max(...x)).toBe(width - SIZES.width);
      expect(Math.min(...y)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...y)).toBeLessThanOrEqual(height - SIZES.height + 0.1);
      expect(routes).toHaveLength(edges.length);
    },
  );

  it("leads edges between other nodes, not behind them", () => {
    const { nodes, edges } = orderOf(sampleRun);
    const { x, y, routes } = layoutGraph(nodes.length, edges, SIZES);
    for (const [i, points] of routes.entries()) {
      const [from, to] = edges[i]!;
      for (let at = 1; at + 1 < points.length; at += 2) {
        const [left, middle] = points[at]!;
        for (const node of nodes.keys()) {
          if (node === from || node === to || x[node] !== left) continue;
          expect(middle < y[node]! || middle > y[node]! + SIZES.height).toBe(true);
        }
      }
    }
  });

  it("has places for no node, for one, and for edges that lead back", () => {
    expect(layoutGraph(0, [], SIZES)).toMatchObject({ x: [], y: [], width: 0, height: 0 });
    expect(layoutGraph(1, [], SIZES)).toMatchObject({ x: [0], y: [0], width: 200, height: 50 });
    const { x, routes } = layoutGraph(
      2,
      [
        [0, 1],
        [1, 0],
      ],
      SIZES,
    );
    expect(x).toEqual([0, 250]);
    expect(routes[1]).toEqual([
      [450, 25],
      [0, 25],
    ]);
  });
});

describe("folding", () => {
  it("folds the epochs of the sample, with the weights that they hand on", () => {
    const order = orderOf(sampleRun);
    const { groups, parents } = groupsOf(order);
    expect(groups).toHaveLength(1);
    expect(groups[0]).toMatchObject({ label: "Epoch × 3", kind: "train", size: 5 });
    const inside = order.nodes.filter((_, i) => parents[i] === order.nodes.length);
    expect(inside.map((node) => (node.type === "activity" ? node.activity.id : node.artefact.name))).toEqual([
      ...["train-1", "digits-epoch-1", "train-2", "digits-epoch-2", "train-3"],
    ]);
  });

  it("begins with at most 240 nodes, and unfolds at most 60 at once, however large the graph", () => {
    const alternating = largeRun(1, 6_000);
    const chain = {
      ...alternating,
      activities: alternating.activities.map((one, i) => ({
        ...one,
        kind: i % 2 === 0 ? ("train" as const) : ("other" as const),
      })),
    };
    const many = Array.from({ length: 3_000 }, (_, i) => ({
      ...minimalRun,
      id: `00000000-0000-4000-8000-${i.toString(16).padStart(12, "0")}`,
      artefacts: [{ ...minimalRun.artefacts[0]!, id: `sha256:${digestFor(String(i))}` }],
      activities: [{ ...minimalRun.activities[0]!, made: [{ artefact: `sha256:${digestFor(String(i))}`, role: "" }] }],
    }));
    for (const graph of [runs.large, chain, many, largeRun(1, 10_000)]) {
      const order = orderOf(graph);
      const { groups, parents } = groupsOf(order);
      const counts = new Map<number, number>();
      for (const parent of parents) counts.set(parent, (counts.get(parent) ?? 0) + 1);
      expect(counts.get(-1)!).toBeLessThanOrEqual(240);
      counts.delete(-1);
      expect(Math.max(...counts.values())).toBeLessThanOrEqual(60);
      // every node is in exactly the groups that count it, and groups are made before those that they are in
      const sizes = groups.map(() => 0);
      for (const [child, parent] of parents.entries()) {
        if (parent !== -1 && child >= order.nodes.length && parent <= child)
          throw new Error("a group inside a later one");
      }
      for (const node of order.nodes.keys()) {
        for (let group = parents[node]!; group !== -1; group = parents[group]!) {
          sizes[group - order.nodes.length]!++;
        }
      }
      expect(sizes).toEqual(groups.map(({ size }) => size));
    }
  });
});

describe("the page", () => {
  const dataOf = (html: string) => /<script type="application\/json" id="data">(.*?)<\/script>/s.exec(html)![1]!;

  it("holds its data as JSON that nothing can end", () => {
    for (const run of [sampleRun, hostileRun]) {
      const text = dataOf(lineageHtml(run));
      expect(text).not.toMatch(/[<>&\u2028\u2029]/);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(lineageData([run]))));
    }
  });

  it("has exactly the elements that it is made of, whatever the names", () => {
    const tags = (html: string) =>
      [
        ...html
          .replace(/<script[\s\S]*?<\/script>|<style[\s\S]*?<\/style>/g, (one) => one.slice(0, 7))
          .matchAll(/<[a-z!/][^\s>]*/gi),
      ].map(([tag]) => tag);
    expect(tags(lineageHtml(hostileRun))).toEqual(tags(lineageHtml(sampleRun)));
    expect(lineageHtml(sampleRun)).not.toMatch(
      /(?:src|href)=|https?:\/\/(?!www\.w3\.org\/2000\/svg|example\.org)|url\((?!#)/,
    );
  });

  it("is the same each time, has a title, and refuses what has no order", () => {
    expect(lineageHtml(sampleRun)).toBe(lineageHtml([structuredClone(sampleRun)]));
    expect(lineageHtml(sampleRun, { title: "<b>" })).toContain("<title>&lt;b&gt;</title>");
    const [step] = minimalRun.activities;
    const circle = { ...minimalRun, activities: [{ ...step!, used: step!.made }] };
    expect(() => lineageHtml(circle)).toThrow(expect.objectContaining({ code: "provenance/cycle" }));
    expect(() => lineageHtml([])).toThrow(RangeError);
  });
});
