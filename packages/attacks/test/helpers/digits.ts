import { type AttackResult, type NdArray, ndArray } from "@parapet/core";
import vectors from "../vectors/minimum-norm.json" with { type: "json" };
import { denseModel } from "./dense.ts";

const bytes = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const floats = (text: string) => new Float32Array(bytes(text).buffer);

/** The network of digits that other libraries attacked, `vectors/generate-minimum-norm.py`. */
export const digitsModel = denseModel(
  vectors.weights.map(({ weight, bias }) => ({ weight: floats(weight), bias: floats(bias) })),
);

/** The first of 100 digits of 14 x 14 that the network gets right, with a target for each. */
export function firstDigits(n: number): { x: NdArray; labels: number[]; targets: number[] } {
  const x = ndArray(
    Float32Array.from(bytes(vectors.inputs).subarray(0, 196 * n), (grey) => grey / 255),
    [n, 196],
  );
  return { x, labels: vectors.labels.slice(0, n), targets: vectors.targets.slice(0, n) };
}

/** All of them. */
export const { x: digits, labels } = firstDigits(vectors.labels.length);

/** The smallest median distance that a peer reached on the first `n`, of the cases whose names begin with these words. */
export function bestMedian(start: string, n: number): number {
  const cases = Object.entries(vectors.cases as Record<string, { readonly distances: readonly (number | null)[] }>);
  const peers = cases.filter(([name]) => `${name} `.startsWith(`${start} `));
  if (peers.length === 0) throw new Error(`no case is named ${start}`);
  return Math.min(...peers.map(([, { distances }]) => middle(distances.slice(0, n).map((d) => d ?? Infinity))));
}

/** The median distance of a result; a failure counts as infinite. */
export function medianOf({ distance, success }: AttackResult): number {
  return middle(Array.from(distance.data, (d, i) => (success.data[i] === 1 ? d : Infinity)));
}

function middle(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return sorted.length % 2 === 0 ? (sorted[half - 1]! + sorted[half]!) / 2 : sorted[Math.floor(half)]!;
}
