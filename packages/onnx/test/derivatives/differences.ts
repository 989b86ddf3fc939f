import { derivatives } from "../../src/derivatives/index.ts";
import type { ElementType } from "../../src/graph.ts";
import { type Case, type CaseInput, gradients, hasBatch, type Probe, probe, run, tensor } from "./harness.ts";

// Derivatives without a reference value: <gradient, u> against the central difference of sum(dy * y) along u.

/** Numbers from a seed. */
export interface Source {
  /** Between -1 and 1. */
  unit(): number;
  /** A whole number from 0 to n - 1. */
  below(n: number): number;
  pick<T>(values: readonly T[]): T;
}

export function source(seed: number): Source {
  let state = (seed >>> 0) + 1;
  const next = (): number => {
    // Marsaglia's xorshift
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 8; i++) next();
  const below = (n: number): number => Math.floor(next() * n);
  return { unit: () => 2 * next() - 1, below, pick: (values) => values[below(values.length)]! };
}

export type Spec = Pick<Case, "op" | "attributes"> & {
  readonly opset?: number;
  readonly attributeTypes?: NonNullable<Case["attributeTypes"]>;
  readonly inputs: readonly (CaseInput | null)[];
  readonly outputs?: number;
};

const step = 1 / 256;

/** A float input: distinct values from low to high, no two nearer than some steps, so that no tie or kink is crossed. */
export function floats(
  from: Source,
  shape: readonly number[],
  { low = -2, high = 2, constant = false, differentiable = true } = {},
): CaseInput {
  const size = shape.reduce((a, d) => a * d, 1);
  const count = Math.max(size, Math.floor((high - low) * 32));
  const places = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = from.below(i + 1);
    [places[i], places[j]] = [places[j]!, places[i]!];
  }
  // A third of a place beside the grid, so that values of two inputs are apart, too.
  const shift = from.pick([0.3, 0.5, 0.7]);
  const values = places.slice(0, size).map((place) => low + ((high - low) * (place + shift)) / count);
  return { dtype: "float32", shape, values, differentiable, constant };
}

export function integers(values: readonly number[], { constant = true, shape = [values.length] } = {}): CaseInput {
  return { dtype: "int64", shape, values, differentiable: false, constant };
}

export const given = (
  dtype: ElementType,
  shape: readonly number[],
  values: readonly number[],
  constant = true,
): CaseInput => ({ dtype, shape, values, differentiable: false, constant });

/** How far gradients are from central differences, in several directions, with the batch fixed and open. */
export async function differenceError(spec: Spec, from: Source): Promise<number> {
  const outputs = Array.from({ length: spec.outputs ?? 1 }, () => ({
    dtype: "float32" as const,
    shape: [],
    values: [],
  }));
  const one: Case = { name: "n", opset: 18, ...spec, outputs, cotangents: [], gradients: [] };
  const modes = (await hasBatch(one)) ? [false, true] : [false];
  const p = await probe(one);
  const dys = p.node.outputs.map((name) => {
    const { dtype, data } = p.values.get(name)!;
    return dtype === "float32" ? Array.from({ length: data.length }, () => from.unit()) : null;
  });
  let worst = 0;
  const numeric = await slopes(p, dys, from);
  for (const batch of modes) {
    const found = await gradients(batch ? await probe(one, true) : p, derivatives, dys);
    found.forEach((g, i) => {
      const shape = one.inputs[i]?.shape;
      if (g !== undefined && String(g.shape) !== String(shape)) throw new Error(`shape [${g.shape}], not [${shape}]`);
    });
    for (const { directions, slope } of numeric) {
      let exact = 0;
      directions.forEach((u, i) => {
        const g = found[i];
        if (g === undefined || u === undefined) return;
        exact += u.reduce((sum, v, e) => sum + v * Number(g.data[e]!), 0);
      });
      const error = Math.abs(exact - slope) / Math.max(1, Math.abs(slope));
      worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
    }
  }
  return worst;
}

interface Slope {
  readonly directions: readonly (readonly number[] | undefined)[];
  readonly slope: number;
}

async function slopes(p: Probe, dys: readonly (readonly number[] | null)[], from: Source): Promise<readonly Slope[]> {
  const wanted = dys.flatMap((dy, j) => (dy === null ? [] : [j]));
  const at = async (directions: Slope["directions"], sign: number): Promise<number> => {
    const feeds: Record<string, ReturnType<typeof tensor>> = {};
    const constants = new Map(p.constants);
    p.node.inputs.forEach((name, i) => {
      if (name === "") return;
      const { dtype, shape, data } = p.values.get(name)!;
      const u = directions[i];
      const value =
        u === undefined
          ? p.values.get(name)!
          : tensor(
              dtype,
              shape,
              Array.from(data as Float32Array, (v, e) => v + sign * step * u[e]!),
            );
      if (constants.has(name)) constants.set(name, value);
      else feeds[name] = value;
    });
    const names = wanted.map((j) => p.node.outputs[j]!);
    const results = await run([p.node], constants, feeds, names, p.opset);
    return names.reduce(
      (sum, name, k) =>
        Array.from(results[name]!.data as Float32Array).reduce((s, v, e) => s + v * dys[wanted[k]!]![e]!, sum),
      0,
    );
  };
  const list: Slope[] = [];
  for (let k = 0; k < 2; k++) {
    const directions = p.node.inputs.map((name, i) =>
      p.differentiable[i] ? Array.from({ length: p.values.get(name)!.data.length }, () => from.unit()) : undefined,
    );
    list.push({ directions, slope: ((await at(directions, 1)) - (await at(directions, -1))) / (2 * step) });
  }
  return list;
}
