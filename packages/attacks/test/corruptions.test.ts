import { type CorruptionKind, corrupt, corruptionKinds } from "@parapet/attacks";
import { createRng, distance, mean, type NdArray, ndArray, takeRows } from "@parapet/core";
import { assertClose, assertSameBytes } from "@parapet/testing";
import { describe, expect, it } from "vitest";

/** Strokes on black, like digits: a ring and a bar, of other places and sizes from one to the next. */
function digits(n: number, size = 28): NdArray {
  const draw = createRng("digits");
  const data = new Float32Array(n * size * size);
  for (let i = 0; i < n; i++) {
    const [y, x, radius] = [0.4 + 0.2 * draw.next(), 0.4 + 0.2 * draw.next(), 0.15 + 0.1 * draw.next()];
    for (let at = 0; at < size * size; at++) {
      const [row, column] = [Math.floor(at / size) / size, (at % size) / size];
      const ring = Math.abs(Math.hypot(row - y, column - x) - radius);
      const bar = Math.max(Math.abs(column - x), Math.abs(row - y) - 0.3);
      data[i * size * size + at] = Math.max(0, Math.min(1, 2.2 - 40 * Math.min(ring, Math.max(0, bar))));
    }
  }
  return ndArray(data, [n, size, size]);
}

const severities = [1, 2, 3, 4, 5] as const;
const x = digits(24);
const far = (a: NdArray, b: NdArray) => mean(Array.from(distance(a, b, "l2").data));

describe.each(corruptionKinds)("%s", (kind) => {
  const run = (images: NdArray, severity: (typeof severities)[number], seed = 0) =>
    corrupt(images, { kind, severity, rng: createRng(seed) });

  it("is farther from the image, in the mean, at every step of severity", () => {
    const distances = severities.map((severity) => far(run(x, severity), x));
    for (let i = 0; i < 5; i++) expect(distances[i]!).toBeGreaterThan(i === 0 ? 0.2 : distances[i - 1]! * 1.005);
  });

  it("stays in its bounds, and leaves the images alone", () => {
    const before = x.data.slice();
    for (const severity of severities) {
      const { data, shape } = run(x, severity);
      expect(shape).toEqual([24, 28, 28]);
      expect(data.every((value) => value >= 0 && value <= 1)).toBe(true);
    }
    expect(x.data).toEqual(before);
  });

  it("is the same from the same seed, alone or in any order, and another from another where it draws", () => {
    const three = takeRows(x, [0, 1, 2]);
    const all = run(three, 3);
    assertSameBytes(run(three, 3), all);
    assertSameBytes(run(takeRows(x, [2, 0]), 3), takeRows(all, [2, 0]));
    const fixed = ["scale", "brightness", "stripe", "canny-edges"].includes(kind);
    expect([1, 2, 3].every((seed) => far(run(three, 3, seed), all) === 0)).toBe(fixed);
  });

  it("does the same to colour images of either layout, scaled to their bounds", () => {
    const small = digits(2, 16);
    const last = ndArray(
      Float32Array.from({ length: 2 * 256 * 3 }, (_, i) => small.data[Math.floor(i / 3)]!),
      [2, 16, 16, 3],
    );
    const plane = (image: NdArray, i: number, channel: number, first: boolean) =>
      Float32Array.from(
        { length: 256 },
        (_, at) => image.data[i * 768 + (first ? channel * 256 + at : at * 3 + channel)]!,
      );
    const first = ndArray(
      Float32Array.from({ length: 2 * 3 * 256 }, (_, i) => {
        const [image, rest] = [Math.floor(i / 768), i % 768];
        return small.data[image * 256 + (rest % 256)]!;
      }),
      [2, 3, 16, 16],
    );
    const [a, b] = [run(last, 4), run(first, 4)];
    const noise = kind === "shot-noise" || kind === "impulse-noise";
    const wide = { lower: -1, upper: 3 };
    const scaled = corrupt(
      ndArray(
        last.data.map((value) => 4 * value - 1),
        last.shape,
      ),
      {
        kind,
        severity: 4,
        rng: createRng(0),
        bounds: wide,
      },
    );
    expect(
      far(
        scaled,
        ndArray(
          last.data.map((value) => 4 * value - 1),
          last.shape,
        ),
      ),
    ).toBeGreaterThan(1);
    expect(scaled.data.every((value) => value >= -1 && value <= 3)).toBe(true);
    for (let i = 0; i < 2; i++) {
      for (let channel = 1; channel < 3; channel++) {
        // Noise differs from channel to channel; everything else happens in the scene, before all of them.
        const same = plane(a, i, channel, false).every((value, at) => value === plane(a, i, 0, false)[at]);
        expect(same).toBe(!noise);
        expect(plane(b, i, channel, true).every((value, at) => value === plane(b, i, 0, true)[at])).toBe(!noise);
      }
    }
  });
});

describe("what can be computed by hand", () => {
  const run = (
    image: NdArray,
    kind: CorruptionKind,
    severity: (typeof severities)[number],
    seed: number | string = 0,
  ) => corrupt(image, { kind, severity, rng: createRng(seed) });
  const flat = (value: number, n = 1) => ndArray(new Float32Array(n * 784).fill(value), [n, 28, 28]);
  const dot = ndArray(
    new Float32Array(784).map((_, i) => Number(i === 14 * 28 + 14)),
    [1, 28, 28],
  );

  it("brightness adds 0.1 a step and stops at white", () => {
    assertClose(run(flat(0.8), "brightness", 1), flat(0.9), { absolute: 1e-6 });
    assertClose(run(flat(0.8), "brightness", 5), flat(1));
  });

  it("stripe inverts a quarter at each side at severity 5", () => {
    const { data } = run(flat(0.2), "stripe", 5);
    expect(Array.from(data.subarray(0, 28), (value) => Number(value > 0.5))).toEqual(
      Array.from({ length: 28 }, (_, column) => Number(column < 7 || column >= 21)),
    );
  });

  it("translate moves by whole pixels, along both axes", () => {
    for (const severity of severities) {
      const at = run(dot, "translate", severity).data.indexOf(1);
      expect([Math.abs(Math.floor(at / 28) - 14), Math.abs((at % 28) - 14)]).toEqual([severity, severity]);
    }
  });

  it("shot noise has a Poisson number's mean and variance", () => {
    const { data } = run(flat(0.3), "shot-noise", 1);
    const m = mean(Array.from(data));
    const variance = mean(Array.from(data, (value) => (value - m) ** 2));
    // Mean 0.3 and variance 0.3 / 60 = 0.005 of 784 pixels: standard errors 0.0025 and 0.00026. Five of them: 1e-6.
    expect(Math.abs(m - 0.3)).toBeLessThan(0.0126);
    expect(Math.abs(variance - 0.005)).toBeLessThan(0.0013);
  });

  it("impulse noise hits 27 % at severity 5, half of them white", () => {
    const { data } = run(flat(0.5), "impulse-noise", 5);
    const white = data.filter((value) => value === 1).length;
    const black = data.filter((value) => value === 0).length;
    // Binomial(784, 0.27): 211.7 with a deviation of 12.4; half of it 105.8 with 9.6. Five of them: 1e-6.
    expect(Math.abs(white + black - 211.7)).toBeLessThan(62);
    expect(Math.abs(white - 105.8)).toBeLessThan(48);
  });

  it("blurs keep a flat image, and the light of a dot", () => {
    for (const kind of ["glass-blur", "motion-blur"] as const) {
      assertClose(run(flat(0.4), kind, 5), flat(0.4), { absolute: 1e-6 });
      const light = run(dot, kind, 1).data.reduce((sum, value) => sum + value, 0);
      expect(Math.abs(light - 1)).toBeLessThan(1e-3);
    }
  });

  it("edges of a square are its outline", () => {
    const square = ndArray(
      new Float32Array(784).map((_, i) =>
        Number(Math.abs(Math.floor(i / 28) - 13.5) < 7 && Math.abs((i % 28) - 13.5) < 7),
      ),
      [1, 28, 28],
    );
    const { data } = run(square, "canny-edges", 5);
    const middle = Array.from(data.subarray(13 * 28, 14 * 28).keys()).filter((i) => data[13 * 28 + i] === 1);
    expect(data.every((value) => value === 0 || value === 1)).toBe(true);
    // The step lies between pixels 6 and 7, and 20 and 21: each side may light up, nothing else.
    expect(middle.every((i) => [6, 7, 20, 21].includes(i))).toBe(true);
    expect(middle.length).toBeGreaterThanOrEqual(2);
  });

  it("lines add, one more with every step", () => {
    for (const kind of ["dotted-line", "zigzag"] as const) {
      const inks = severities.map((severity) => run(flat(0), kind, severity).data);
      for (let i = 1; i < 5; i++) {
        expect(inks[i]!.every((value, at) => value >= inks[i - 1]![at]!)).toBe(true);
        expect(inks[i]!.some((value, at) => value > inks[i - 1]![at]!)).toBe(true);
      }
      // From the left to the right.
      const columns = Array.from({ length: 28 }, (_, c) => inks[0]!.some((value, at) => at % 28 === c && value > 0.5));
      expect(columns.filter(Boolean).length).toBeGreaterThan(10);
    }
  });

  it("a mask of bounds of no width stays as it is", () => {
    const bounds = { lower: new Float32Array(784).fill(0.5), upper: new Float32Array(784).fill(0.5) };
    const image = flat(0.5);
    assertClose(corrupt(image, { kind: "fog", severity: 5, rng: createRng(0), bounds }), image);
  });

  it.each([
    [{ kind: "snow" }, '"kind" expected one of shot-noise, impulse-noise'],
    [{ severity: 0 }, '"severity" expected a whole number >= 1 and <= 5, got 0'],
    [{ severity: 2.5 }, '"severity" expected a whole number >= 1 and <= 5, got 2.5'],
    [{ rng: undefined }, '"rng" expected an Rng, such as createRng(seed), got undefined'],
    [{ bounds: { lower: 0, upper: 0.1 } }, '"x" expected values in [0, 0.10000000149011612], got 0.5'],
  ])("%o is refused", (wrong, message) => {
    const options = { kind: "fog", severity: 1, rng: createRng(0), ...wrong } as Parameters<typeof corrupt>[1];
    expect(() => corrupt(flat(0.5), options)).toThrow(message);
  });

  it("refuses what is no image", () => {
    expect(() => run(ndArray([1, 2], [1, 2]), "fog", 1)).toThrow();
    expect(() => run(undefined as never, "fog", 1)).toThrow(TypeError);
  });
});
