import { describe, expect, it } from "vitest";
import { checkNumber, expected, ParapetError } from "../src/index.ts";

describe("expected", () => {
  it.each([
    [-1, "-1"],
    ["a", '"a"'],
    [undefined, "undefined"],
    [null, "null"],
    [Number.NaN, "NaN"],
    [1n, "1"],
    [true, "true"],
    [[1, "b"], '[1, "b"]'],
    [[1, 2, 3, 4, 5, 6, 7, 8, 9], "[1, 2, 3, 4, 5, 6, 7, 8, ...]"],
    [{}, "an object (Object)"],
    [Object.create(null), "an object (no prototype)"],
    [new Float32Array(3), "an object (Float32Array)"],
    [function named() {}, "a function (named)"],
    [Symbol("s"), "Symbol(s)"],
  ])("shows %o", (value, shown) => {
    expect(expected("option", "another", value)).toBe(`"option" expected another, got ${shown}`);
  });
});

describe("checkNumber", () => {
  it("returns what is in range, its limits included or not as they say", () => {
    expect(checkNumber("n", 0, { min: 0 })).toBe(0);
    expect(checkNumber("n", 1, { max: 1 })).toBe(1);
    expect(checkNumber("n", -7)).toBe(-7);
    expect(() => checkNumber("n", 0, { above: 0 })).toThrow('"n" expected a number > 0, got 0');
    expect(() => checkNumber("n", 1, { min: 0, below: 1 })).toThrow('"n" expected a number >= 0 and < 1, got 1');
    expect(() => checkNumber("n", 1.5, { integer: true })).toThrow('"n" expected a whole number, got 1.5');
  });

  it("never takes NaN or an infinity", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(() => checkNumber("n", value)).toThrow(RangeError);
    }
  });

  it("tells the wrong type from the wrong value", () => {
    for (const value of ["1", undefined, null, 1n, {}]) expect(() => checkNumber("n", value)).toThrow(TypeError);
    expect(() => checkNumber("n", -1, { min: 0 })).toThrow(RangeError);
  });
});

describe("ParapetError", () => {
  it("has a code, a message, a cause and a name", () => {
    const cause = new Error("why");
    const error = new ParapetError("core/example", "what happened", { cause });
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.code, error.message, error.cause]).toEqual([
      "ParapetError",
      "core/example",
      "what happened",
      cause,
    ]);
  });
});
