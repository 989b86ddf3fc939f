import { ndArray } from "@parapet/core";
import { describe, expect, it } from "vitest";
import { assertClose, assertSameBytes } from "../src/index.ts";

describe("assertClose", () => {
  it("passes within absolute + relative * |expected|, and not beyond", () => {
    assertClose([1.1], [1], { absolute: 0.11 });
    assertClose([100.9], [100], { relative: 0.01 });
    assertClose([101.1], [100], { relative: 0.01, absolute: 0.2 });
    expect(() => assertClose([101.3], [100], { relative: 0.01, absolute: 0.2 })).toThrow("element 0: expected 100");
  });

  it("names the element furthest outside its own tolerance", () => {
    const call = () => assertClose(ndArray([1, 2, 3, 9], [2, 2]), ndArray([1, 0, 3, 4], [2, 2]));
    expect(call).toThrow("element 3 [1, 1]: expected 4 within 0, got 9 (off by 5; 2 of 4 differ)");
  });

  it("a NaN agrees with NaN only, an infinity with itself only, whatever the tolerance", () => {
    assertClose([Number.NaN, Number.POSITIVE_INFINITY], [Number.NaN, Number.POSITIVE_INFINITY]);
    const wide = { absolute: Number.MAX_VALUE, relative: 1 };
    expect(() => assertClose([Number.NaN], [0], wide)).toThrow("got NaN");
    expect(() => assertClose([0], [Number.NaN], wide)).toThrow("expected NaN");
    expect(() => assertClose([1], [Number.POSITIVE_INFINITY], wide)).toThrow("expected Infinity");
  });

  it("compares shapes and dtypes where both sides have one", () => {
    expect(() => assertClose(ndArray([1, 2], [2, 1]), ndArray([1, 2], [1, 2]))).toThrow(
      "expected shape [1, 2], got [2, 1]",
    );
    expect(() => assertClose(ndArray(Int32Array.of(1)), ndArray([1]))).toThrow("expected dtype float32, got int32");
    expect(() => assertClose([1], [1, 2])).toThrow("expected 2 elements, got 1");
    assertClose(ndArray([1, 2], [2, 1]), [1, 2]);
  });
});

describe("assertSameBytes", () => {
  it("tells 0 from -0, and one bit from none", () => {
    assertSameBytes(ndArray([1, 2]), ndArray([1, 2]));
    expect(() => assertSameBytes(Float32Array.of(0), Float32Array.of(-0))).toThrow("element 0: expected -0, got 0");
    expect(() => assertSameBytes(Float32Array.of(1), Float32Array.of(1 + 2 ** -23))).toThrow("1 of 1 differ");
  });

  it("looks at a view's own bytes", () => {
    const store = Float32Array.of(9, 1, 2, 9);
    assertSameBytes(store.subarray(1, 3), Float32Array.of(1, 2));
  });

  it("refuses another kind of array and another length", () => {
    expect(() => assertSameBytes(Int32Array.of(1), Float32Array.of(1))).toThrow(
      "expected a Float32Array, got a Int32Array",
    );
    expect(() => assertSameBytes(Float32Array.of(1), Float32Array.of(1, 2))).toThrow("expected 2 elements, got 1");
  });
});
