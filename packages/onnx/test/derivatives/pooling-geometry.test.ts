import fc from "fast-check";
import { expect, test } from "vitest";
import { pooling } from "../../src/derivatives/pooling.ts";
import { type Case, disagreements } from "./harness.ts";

interface Geometry {
  readonly n: number;
  readonly channels: number;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly input: readonly number[];
}

const list = (low: number, high: number, length = 2) =>
  fc.array(fc.integer({ min: low, max: high }), { minLength: length, maxLength: length });

const general: fc.Arbitrary<Geometry> = fc
  .record({
    n: fc.integer({ min: 1, max: 3 }),
    channels: fc.integer({ min: 1, max: 3 }),
    kernel: list(1, 4),
    strides: list(1, 4),
    dilations: list(1, 2),
    pads: list(0, 3, 4),
    more: list(0, 6),
  })
  .map(({ more, ...g }) => {
    // Pads are smaller than the kernel, and the first window fits.
    const pads = g.pads.map((length, i) => Math.min(length, g.kernel[i % 2]! - 1));
    const least = g.kernel.map((k, i) => (k - 1) * g.dilations[i]! + 1 - pads[i]! - pads[i + 2]!);
    return { ...g, pads, input: least.map((length, i) => Math.max(1, length) + more[i]!) };
  });

/** Windows side by side, with and without a remainder. */
const tiles: fc.Arbitrary<Geometry> = fc
  .record({
    n: fc.integer({ min: 1, max: 3 }),
    channels: fc.integer({ min: 1, max: 18 }),
    kernel: list(1, 3),
    count: list(1, 4),
    rest: list(0, 2),
  })
  .map(({ count, rest, ...g }) => ({
    ...{ ...g, strides: g.kernel, dilations: [1, 1], pads: [0, 0, 0, 0] },
    input: g.kernel.map((k, i) => k * count[i]! + Math.min(rest[i]!, k - 1)),
  }));

const outputOf = (g: Geometry): number[] =>
  g.input.map((length, i) => {
    const free = length + g.pads[i]! + g.pads[i + 2]! - (g.kernel[i]! - 1) * g.dilations[i]! - 1;
    return Math.floor(free / g.strides[i]!) + 1;
  });

/** Positions in a plane of the entries of a window, and how many taps of it lie in the input or its padding. */
function windowAt(g: Geometry, row: number, column: number): { entries: number[]; taps: number } {
  const entries: number[] = [];
  for (let i = 0; i < g.kernel[0]!; i++) {
    for (let j = 0; j < g.kernel[1]!; j++) {
      const h = row * g.strides[0]! - g.pads[0]! + i * g.dilations[0]!;
      const w = column * g.strides[1]! - g.pads[1]! + j * g.dilations[1]!;
      if (h >= 0 && w >= 0 && h < g.input[0]! && w < g.input[1]!) entries.push(h * g.input[1]! + w);
    }
  }
  return { entries, taps: g.kernel[0]! * g.kernel[1]! };
}

/** How dy of a window goes to its entries, as loops. */
type Rule = (values: readonly number[], taps: number) => readonly number[];

const rules = {
  // Equal maxima share.
  max: (values) => {
    const top = Math.max(...values);
    const count = values.filter((value) => value === top).length;
    return values.map((value) => (value === top ? 1 / count : 0));
  },
  inside: (values) => values.map(() => 1 / values.length),
  padded: (values, taps) => values.map(() => 1 / taps),
} satisfies Record<string, Rule>;

function caseOf(g: Geometry, op: string, attributes: Case["attributes"], rule: Rule, values: readonly number[]): Case {
  const output = outputOf(g);
  const [plane, positions, planes] = [g.input[0]! * g.input[1]!, output[0]! * output[1]!, g.n * g.channels];
  const x = Array.from({ length: planes * plane }, (_, i) => values[(i * 31 + Math.floor(i / 7)) % values.length]!);
  const dy = Array.from({ length: planes * positions }, (_, i) => (((i * 7919) % 23) - 11) / 8);
  const dx = new Array<number>(x.length).fill(0);
  dy.forEach((cotangent, i) => {
    const [at, position] = [Math.floor(i / positions) * plane, i % positions];
    const { entries, taps } = windowAt(g, Math.floor(position / output[1]!), position % output[1]!);
    const shares = rule(
      entries.map((entry) => x[at + entry]!),
      taps,
    );
    entries.forEach((entry, k) => {
      dx[at + entry]! += cotangent * shares[k]!;
    });
  });
  const { kernel, strides, dilations, pads } = g;
  return {
    ...{ name: "random", op, opset: 19 },
    attributes: { kernel_shape: kernel, strides, dilations, pads, ...attributes },
    inputs: [
      { dtype: "float32", shape: [g.n, g.channels, ...g.input], values: x, differentiable: true, constant: false },
    ],
    outputs: [{ dtype: "float32", shape: [g.n, g.channels, ...output], values: [] }],
    ...{ cotangents: [dy], gradients: [dx] },
  };
}

const distinct = Array.from({ length: 997 }, (_, i) => ((i * 613) % 997) / 64 - 7);
const plateaus = [0, 0, 0.5, -1, 0, 2, 2];

test.each([
  ["MaxPool", "anywhere", general, {}, rules.max, distinct],
  ["MaxPool", "anywhere, with ties", general, {}, rules.max, plateaus],
  ["MaxPool", "side by side", tiles, {}, rules.max, distinct],
  ["MaxPool", "side by side, with ties", tiles, {}, rules.max, plateaus],
  ["AveragePool", "anywhere", general, { count_include_pad: 0 }, rules.inside, distinct],
  ["AveragePool", "anywhere, padding counted", general, { count_include_pad: 1 }, rules.padded, distinct],
  ["AveragePool", "side by side", tiles, {}, rules.inside, distinct],
] as const)("%s, windows %s, equals its loops", async (op, _, geometry, attributes, rule, values) => {
  await fc.assert(
    fc.asyncProperty(geometry, fc.boolean(), async (g, batch) => {
      // A window in the padding alone has no mean.
      const output = outputOf(g);
      const all = Array.from({ length: output[0]! * output[1]! }, (_, i) =>
        windowAt(g, Math.floor(i / output[1]!), i % output[1]!),
      );
      fc.pre(all.every(({ entries }) => entries.length > 0));
      const one = caseOf(g, op, attributes, rule, values);
      expect(await disagreements(one, pooling, { batch, tolerance: 1e-5 })).toEqual([]);
    }),
    { seed: 21, numRuns: 50 },
  );
});

test("of two equal maxima each gets half, over the whole plane too", async () => {
  const shape = [1, 1, 2, 2];
  const one: Case = {
    ...{ name: "ties", op: "GlobalMaxPool", opset: 18, attributes: {} },
    inputs: [{ dtype: "float32", shape, values: [3, 1, 3, 2], differentiable: true, constant: false }],
    outputs: [{ dtype: "float32", shape: [1, 1, 1, 1], values: [] }],
    ...{ cotangents: [[4]], gradients: [[2, 0, 2, 0]] },
  };
  expect(await disagreements(one, pooling)).toEqual([]);
  const whole = { ...one, op: "MaxPool", attributes: { kernel_shape: [2, 2] } };
  expect(await disagreements(whole, pooling)).toEqual([]);
});
