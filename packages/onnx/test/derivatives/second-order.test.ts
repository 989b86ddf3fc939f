import { describe, expect, test } from "vitest";
import { createBuilder } from "../../src/builder.ts";
import type { ValueType } from "../../src/derivative.ts";
import { derivatives, undifferentiated } from "../../src/derivatives/index.ts";
import { differentiate } from "../../src/differentiate.ts";
import type { Model, Node, Tensor } from "../../src/graph.ts";
import { upgraded } from "../../src/upgrade.ts";
import { type Case, derive, probe, readCases, run, tensor } from "./harness.ts";

// Second derivatives by differentiating the gradient's own graph. With S(x, dy) = sum_i <gradient_i(x, dy), v_i>:
// S is linear in dy, so that <dS/ddy, w> = S(x, w); dS/dx is checked by central differences of S.

const families = ["arithmetic", "elementary", "activations", "linear", "reduce", "softmax", "shape", "resize"];
const step = 5e-4;

function directions(seed: number): (size: number) => number[] {
  let state = seed;
  const next = (): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 1073741824 - 1;
  };
  return (size) => Array.from({ length: size }, next);
}

const numbers = (value: Tensor): number[] => Array.from(value.data as Float32Array);
const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0);

async function check(one: Case): Promise<void> {
  const first = await probe(one);
  const model: Model = {
    irVersion: 8,
    opsets: new Map([["", one.opset]]),
    producer: "",
    graph: { name: "one", inputs: [], outputs: [], initializers: first.constants, nodes: [first.node] },
  };
  const { graph, opsets } = upgraded(model);
  const opset = opsets.get("")!;
  const p = { ...first, node: graph.nodes[0]!, constants: graph.initializers, opset };
  for (const [name, { dtype, shape }] of p.constants) (p.types as Map<string, ValueType>).set(name, { dtype, shape });
  const there = one.cotangents.map((dy) => dy !== null);
  const gradient = derive(p, derivatives, there);
  const random = directions(7);
  const wanted = gradient.outputs.flatMap((name, i) => (name !== undefined && p.differentiable[i] ? [i] : []));
  if (wanted.length === 0) return;
  const results = wanted.map((i): Node => {
    const [inputs, outputs] = [[gradient.outputs[i]!], [`g${i}`]];
    return { name: `g${i}`, op: "Identity", domain: "", inputs, outputs, attributes: {} };
  });
  const nodes = [p.node, ...gradient.nodes, ...results];
  const constants = new Map([...p.constants, ...gradient.constants]);

  const base: Record<string, Tensor> = {};
  for (const [name, value] of p.values) {
    if (!constants.has(name) && !p.node.outputs.includes(name)) base[name] = value;
  }
  const dys = p.node.outputs.flatMap((name, j) => (there[j] ? [[`dy${j}`, p.values.get(name)!] as const] : []));
  dys.forEach(([name, { dtype, shape }], j) => {
    base[name] = tensor(dtype, shape, one.cotangents.filter((dy) => dy !== null)[j]!);
  });
  const v = new Map(wanted.map((i) => [`g${i}`, random(p.values.get(`x${i}`)!.data.length)]));
  const total = async (feeds: Record<string, Tensor>): Promise<number> => {
    const found = await run(nodes, constants, feeds, [...v.keys()], opset);
    return [...v].reduce((sum, [name, direction]) => sum + dot(numbers(found[name]!), direction), 0);
  };

  // Types of everything in the gradient's graph, and what follows from constants.
  const names = nodes.flatMap(({ outputs }) => outputs).filter((name) => name !== "");
  const values = await run(nodes, constants, base, names, opset);
  const types = new Map<string, ValueType>(
    Object.entries({ ...values, ...base, ...Object.fromEntries(constants) }).map(([name, { dtype, shape }]) => [
      name,
      { dtype, shape },
    ]),
  );
  const known = new Map(constants);
  for (const node of nodes) {
    if (!node.inputs.every((name) => name === "" || known.has(name))) continue;
    for (const name of node.outputs) if (values[name]) known.set(name, values[name]);
  }
  const b = createBuilder([...types.keys(), ...wanted.map((i) => `v${i}`)]);
  const xs = wanted.map((i) => `x${i}`);
  const wrt = [...xs, ...dys.map(([name]) => name)];
  const source = { graph: { ...graph, initializers: constants, nodes }, opset, types, constants: known };
  const second = differentiate(
    { ...source, derivatives, undifferentiated },
    b,
    new Map(wanted.map((i) => [`g${i}`, `v${i}`])),
    wrt,
  );
  const feeds = { ...base };
  for (const i of wanted) {
    const { dtype, shape } = p.values.get(`x${i}`)!;
    feeds[`v${i}`] = tensor(dtype, shape, v.get(`g${i}`)!);
  }
  const asked = second.flatMap((name, k): Node[] => {
    if (name === undefined) return [];
    return [{ name: `h${k}`, op: "Identity", domain: "", inputs: [name], outputs: [`h${k}`], attributes: {} }];
  });
  const found =
    asked.length === 0
      ? {}
      : await run(
          [...nodes, ...b.nodes, ...asked],
          new Map([...constants, ...b.initializers]),
          feeds,
          asked.map(({ name }) => name),
          opset,
        );
  const slope = (k: number, direction: readonly number[]): number =>
    found[`h${k}`] === undefined ? 0 : dot(numbers(found[`h${k}`]!), direction);

  // Along the cotangents, where S is linear.
  const w = dys.map(([, { data }]) => random(data.length));
  const moved = { ...base };
  dys.forEach(([name, { dtype, shape }], j) => {
    moved[name] = tensor(dtype, shape, w[j]!);
  });
  const linear = await total(moved);
  const bySecond = w.reduce((sum, direction, j) => sum + slope(xs.length + j, direction), 0);
  expect(Math.abs(linear - bySecond) / Math.max(1, Math.abs(linear))).toBeLessThan(1e-4);

  // Along the inputs.
  const u = wanted.map((i) => random(p.values.get(`x${i}`)!.data.length));
  const shifted = async (sign: number): Promise<number> => {
    const from = { ...base };
    const held = new Map(constants);
    wanted.forEach((i, k) => {
      const { dtype, shape, data } = p.values.get(`x${i}`)!;
      const at = Array.from(data as Float32Array, (value, e) => value + sign * step * u[k]![e]!);
      const value = tensor(dtype, shape, at);
      if (held.has(`x${i}`)) held.set(`x${i}`, value);
      else from[`x${i}`] = value;
    });
    const results = await run(nodes, held, from, [...v.keys()], opset);
    return [...v].reduce((sum, [name, direction]) => sum + dot(numbers(results[name]!), direction), 0);
  };
  const [ahead, behind, here] = [await shifted(1), await shifted(-1), await total(base)];
  const numeric = (ahead - behind) / (2 * step);
  const exact = u.reduce((sum, direction, k) => sum + slope(k, direction), 0);
  expect(Math.abs(numeric - exact) / Math.max(1, Math.abs(here), Math.abs(exact))).toBeLessThan(5e-3);
}

describe.each(families)("second derivatives: %s", (family) => {
  const cases = readCases(family).filter((one) => !undifferentiated.has(one.op) && derivatives[one.op] !== undefined);
  test.each(cases.map((one) => [one.name, one] as const))("%s", (_, one) => check(one));
});

describe("second derivatives: normalisation", () => {
  const cases = readCases("normalisation").filter((one) => one.op !== "BatchNormalization");
  test.each(cases.map((one) => [one.name, one] as const))("%s", (_, one) => check(one));
});
