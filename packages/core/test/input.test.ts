import scijs from "ndarray";
import { describe, expect, it } from "vitest";
import { boundsOf, checkInput, type NdArray, ndArray } from "../src/index.ts";

const model = { inputShape: [2, 2], bounds: { lower: 0, upper: 1 } };
const good = ndArray([0, 0.25, 0.5, 1, 0, 0, 0, 0], [2, 2, 2]);

describe("checkInput", () => {
  it("returns a good batch as it is", () => {
    expect(checkInput(model, good)).toBe(good);
  });

  it("makes views dense, and numbers of any kind float32", () => {
    const view = scijs(Uint8Array.of(1, 0, 0, 1), [2, 2, 1]).transpose(2, 0, 1);
    expect(checkInput(model, view)).toEqual(ndArray([1, 0, 0, 1], [1, 2, 2]));
  });

  const says = (x: unknown, message: string | RegExp, options = {}) =>
    expect(() => checkInput(model, x as NdArray, options)).toThrow(message);

  it("refuses another shape, dtype or nothing, by TypeError", () => {
    says(ndArray([1, 2], [1, 2]), '"x" expected shape [n, 2, 2], got [1, 2]');
    says(ndArray([0, 0, 0, 0, 0, 0], [1, 2, 3]), '"x" expected shape [n, 2, 2], got [1, 2, 3]');
    says(ndArray(Int32Array.of(1, 0, 1, 0), [1, 2, 2]), '"x" expected dtype float32, got "int32"');
    for (const wrong of [undefined, null, 3, [0, 0, 0, 0], "x"]) says(wrong, /"array" expected an NdArray/);
    expect(() => checkInput(model, { ...good, data: new Float32Array(3) })).toThrow(TypeError);
  });

  it("refuses an empty batch, NaN and infinities by RangeError, and says where they are", () => {
    says(ndArray([], [0, 2, 2]), '"x" expected at least one row, got [0, 2, 2]');
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const x = ndArray([0, 0, 0, 0, 0, value, 0, 0], [2, 2, 2]);
      says(x, `"x" expected finite values, got ${value} (row 1, feature 1)`);
      says(x, "finite", { withinBounds: false });
      expect(() => checkInput(model, x)).toThrow(RangeError);
    }
  });

  it("refuses values outside the bounds, unless told otherwise; roundings pass", () => {
    const x = (value: number) => ndArray([0, 0, 0, value], [1, 2, 2]);
    says(x(1.001), /"x" expected values in \[0, 1\], got 1.001\d* \(row 0, feature 3\)/);
    says(x(-0.001), "expected values in [0, 1]");
    checkInput(model, x(1 + 2 ** -22));
    checkInput(model, x(5), { withinBounds: false });
  });

  it("knows bounds of each feature", () => {
    const bounds = { lower: Float32Array.of(0, 0, 0, 0), upper: Float32Array.of(1, 1, 1, 9) };
    checkInput({ ...model, bounds }, ndArray([1, 1, 1, 9], [1, 2, 2]));
    expect(() => checkInput({ ...model, bounds }, ndArray([9, 1, 1, 1], [1, 2, 2]))).toThrow("(row 0, feature 0)");
  });
});

describe("boundsOf", () => {
  it("spreads numbers, keeps arrays", () => {
    const upper = Float32Array.of(1, 2);
    expect(boundsOf({ lower: -1, upper }, 2)).toEqual({ lower: Float32Array.of(-1, -1), upper });
  });

  it("refuses bounds that are none", () => {
    expect(() => boundsOf({ lower: 1, upper: 0 }, 1)).toThrow(
      '"bounds" expected lower <= upper, got "lower 1, upper 0"',
    );
    expect(() => boundsOf({ lower: Number.NaN, upper: 0 }, 1)).toThrow(RangeError);
    expect(() => boundsOf({ lower: Float32Array.of(0), upper: 1 }, 2)).toThrow('"bounds.lower" expected 2 values');
    expect(() => boundsOf({ lower: 0 } as never, 2)).toThrow(
      '"bounds.upper" expected a number or a Float32Array, got undefined',
    );
    expect(() => boundsOf(undefined as never, 2)).toThrow(TypeError);
  });
});
