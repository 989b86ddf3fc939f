import fc from "fast-check";
import scijs from "ndarray";
import { describe, expect, it } from "vitest";
import {
  asNdArray,
  concatRows,
  type NdArray,
  type NdarrayView,
  ndArray,
  sizeOf,
  takeRows,
  toNdarray,
} from "../src/index.ts";

const dense = (view: unknown, dtype?: "float32" | "int32" | "bool") =>
  asNdArray(view as NdarrayView, dtype as "float32");
const six = () => scijs(Float32Array.of(1, 2, 3, 4, 5, 6), [2, 3]);

describe("asNdArray of views of npm ndarray", () => {
  it("dense ones, and transposes", () => {
    expect(dense(six())).toEqual(ndArray([1, 2, 3, 4, 5, 6], [2, 3]));
    expect(dense(six().transpose(1, 0))).toEqual(ndArray([1, 4, 2, 5, 3, 6], [3, 2]));
  });

  it("negative strides, steps and offsets", () => {
    expect(dense(six().step(1, -1))).toEqual(ndArray([3, 2, 1, 6, 5, 4], [2, 3]));
    expect(dense(six().step(-1, -2))).toEqual(ndArray([6, 4, 3, 1], [2, 2]));
    expect(dense(six().lo(1, 1))).toEqual(ndArray([5, 6], [1, 2]));
    expect(dense(six().hi(2, 1))).toEqual(ndArray([1, 4], [2, 1]));
    expect(dense(six().pick(null as never, 1))).toEqual(ndArray([2, 5], [2]));
  });

  it("strides of 0: one row for many", () => {
    expect(dense(scijs(Float32Array.of(1, 2), [3, 2], [0, 1]))).toEqual(ndArray([1, 2, 1, 2, 1, 2], [3, 2]));
  });

  it("no axes at all, and an axis of length 0", () => {
    expect(dense(scijs(Float32Array.of(7, 8), [], [], 1))).toEqual({
      dtype: "float32",
      shape: [],
      data: Float32Array.of(8),
    });
    expect(dense(scijs(new Float32Array(0), [0, 3]))).toEqual({
      dtype: "float32",
      shape: [0, 3],
      data: new Float32Array(0),
    });
  });

  it("as many axes as anybody has, in any arrangement: each element is where get says", () => {
    const axis = fc.record({ length: fc.integer({ min: 1, max: 3 }), step: fc.constantFrom(1, -1, 2, -2) });
    fc.assert(
      fc.property(fc.array(axis, { minLength: 1, maxLength: 5 }), fc.nat(), (axes, turn) => {
        const shape = axes.map(({ length }) => length);
        const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => i);
        const order = shape.map((_, i) => (i + turn) % shape.length);
        const view = scijs(data, shape)
          .step(...axes.map(({ step }) => step))
          .transpose(...order);
        const array = dense(view);
        expect(array.shape).toEqual(view.shape);
        let i = 0;
        const visit = (index: number[]) => {
          if (index.length === view.shape.length) expect(array.data[i++]).toBe(view.get(...index));
          else for (let at = 0; at < view.shape[index.length]!; at++) visit([...index, at]);
        };
        visit([]);
        expect(i).toBe(array.data.length);
      }),
      { seed: 20240601, numRuns: 200 },
    );
  });

  it("plain arrays, and stores with get and set", () => {
    expect(dense(scijs([1, 2, 3, 4], [2, 2]).transpose(1, 0))).toEqual(ndArray([1, 3, 2, 4], [2, 2]));
    const sparse = { get: (i: number) => (i === 2 ? 5 : 0), set: () => {}, length: 4 };
    const view = scijs(sparse as never, [2, 2]);
    expect(view.dtype).toBe("generic");
    expect(dense(view)).toEqual(ndArray([0, 0, 5, 0], [2, 2]));
  });

  it("is a copy: the view's memory and the array's are not one", () => {
    const view = six();
    const array = dense(view);
    view.set(0, 0, 99);
    expect(array.data[0]).toBe(1);
  });
});

describe("asNdArray, dtype by dtype", () => {
  it("float64 is rounded to float32", () => {
    expect(dense(scijs(Float64Array.of(0.1, 1e-50, 1e300), [3])).data).toEqual(
      Float32Array.of(0.1, 0, Number.POSITIVE_INFINITY),
    );
  });

  it.each([
    [Int8Array, "int8"],
    [Int16Array, "int16"],
    [Int32Array, "int32"],
    [Uint8Array, "uint8"],
    [Uint8ClampedArray, "uint8_clamped"],
    [Uint16Array, "uint16"],
  ] as const)("%o becomes int32", (kind, name) => {
    const view = scijs(kind.from([1, 2, 100]) as never, [3]);
    expect(view.dtype).toBe(name);
    expect(dense(view)).toEqual(ndArray(Int32Array.of(1, 2, 100)));
    expect(dense(view, "float32")).toEqual(ndArray([1, 2, 100]));
  });

  it("what would not fit is refused, unless float32 is asked for", () => {
    const view = scijs(Uint32Array.of(1, 2 ** 32 - 1), [2]);
    expect(() => dense(view)).toThrow(/"dtype" expected one of float32, .*, got "uint32"/);
    expect(dense(view, "float32").data).toEqual(Float32Array.of(1, 2 ** 32));
    const big = { dtype: "bigint64", shape: [1], stride: [1], offset: 0, data: BigInt64Array.of(1n) };
    expect(() => dense(big)).toThrow(TypeError);
    expect(() => dense(big, "float32")).toThrow(TypeError);
  });

  it("numbers become booleans where that is asked for, integers where they are whole", () => {
    expect(dense(scijs(Uint8Array.of(0, 1, 7), [3]), "bool")).toEqual(ndArray(Uint8Array.of(0, 1, 1)));
    expect(dense(scijs(Float64Array.of(1, 2), [2]), "int32")).toEqual(ndArray(Int32Array.of(1, 2)));
    for (const wrong of [1.5, Number.NaN, 2 ** 40]) {
      expect(() => dense(scijs(Float64Array.of(wrong), [1]), "int32")).toThrow('"data" expected 32-bit integers');
    }
  });
});

describe("asNdArray of arrays", () => {
  it("returns what fits as it is, without a copy", () => {
    const array = ndArray([1, 2]);
    expect(asNdArray(array)).toBe(array);
    expect(asNdArray(array, "float32")).toBe(array);
    expect(asNdArray(ndArray(Int32Array.of(1, 2)), "float32")).toEqual(array);
  });

  it.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 3],
    ["a plain array", [1, 2]],
    ["no data", { dtype: "float32", shape: [1] }],
    ["no shape", { dtype: "float32", data: new Float32Array(1) }],
    ["a negative length", { dtype: "float32", shape: [-1], data: new Float32Array(1) }],
    ["a broken length", { dtype: "float32", shape: [1.5], data: new Float32Array(1) }],
    ["a shape that is no array", { dtype: "float32", shape: "2", data: new Float32Array(2) }],
    ["too little data", { dtype: "float32", shape: [3], data: new Float32Array(2) }],
    ["another dtype's data", { dtype: "float32", shape: [2], data: new Int32Array(2) }],
    ["an unknown dtype", { dtype: "float64", shape: [2], data: new Float64Array(2) }],
    ["a boolean in a plain array", { dtype: "bool", shape: [1], data: [true] }],
    ["no data at all", { dtype: "bool", shape: [0], data: null }],
    ["too few strides", { dtype: "float32", shape: [2, 2], stride: [1], offset: 0, data: new Float32Array(4) }],
    ["strides out of the data", { dtype: "float32", shape: [2], stride: [9], offset: 0, data: new Float32Array(2) }],
    ["an offset out of the data", { dtype: "float32", shape: [1], stride: [1], offset: -1, data: new Float32Array(2) }],
    ["a view without a dtype", { shape: [1], stride: [1], offset: 0, data: new Float32Array(1) }],
    ["a view without data", { dtype: "float32", shape: [1], stride: [1], offset: 0, data: undefined }],
    [
      "a view without strides",
      { dtype: "float32", shape: [1], stride: undefined, offset: 0, data: new Float32Array(1) },
    ],
  ])("refuses %s, and says what came", (_, value) => {
    expect(() => dense(value)).toThrow(TypeError);
    expect(() => dense(value)).toThrow(/^"\w+" expected .+, got /);
  });
});

describe("toNdarray", () => {
  it("and back is the identity, for every dtype", () => {
    for (const array of [
      ndArray([1, 2, 3, 4, 5, 6], [2, 3]),
      ndArray(Int32Array.of(1, 2), [2, 1]),
      ndArray(Float32Array.of(5), []),
    ]) {
      const view = toNdarray<"float32" | "int32", scijs.NdArray>(array, scijs as never);
      expect(view.shape).toEqual(array.shape);
      expect(dense(view)).toEqual(array);
    }
    const flags = ndArray(Uint8Array.of(1, 0));
    expect(dense(toNdarray(flags, scijs), "bool")).toEqual(flags);
  });

  it("has memory and a shape of its own", () => {
    const array = ndArray([1, 2], [1, 2]);
    const view = toNdarray(array, scijs);
    view.set(0, 0, 9);
    view.shape[0] = 7;
    expect(array).toEqual(ndArray([1, 2], [1, 2]));
  });
});

describe("ndArray, takeRows, concatRows", () => {
  it("ndArray: the dtype is the data's, typed arrays are not copied", () => {
    const data = Float32Array.of(1, 2);
    expect(ndArray(data).data).toBe(data);
    expect([ndArray([1]).dtype, ndArray(Int32Array.of(1)).dtype, ndArray(Uint8Array.of(1)).dtype]).toEqual([
      "float32",
      "int32",
      "bool",
    ]);
    expect(() => ndArray([1, 2, 3], [2, 2])).toThrow('"data" expected 4 values for shape [2, 2], got 3');
    expect(() => ndArray([1], [-1])).toThrow('"shape" expected an array of whole numbers >= 0, got [-1]');
  });

  it("takeRows: in the order asked for, repeats allowed, a copy", () => {
    const array = ndArray([1, 2, 3, 4, 5, 6], [3, 2]);
    const taken = takeRows(array, Int32Array.of(2, 0, 2));
    expect(taken).toEqual(ndArray([5, 6, 1, 2, 5, 6], [3, 2]));
    taken.data.fill(0);
    expect(array.data[4]).toBe(5);
    expect(takeRows(array, new Int32Array(0)).shape).toEqual([0, 2]);
    expect(takeRows(ndArray(Uint8Array.of(1, 0)), Int32Array.of(1))).toEqual(ndArray(Uint8Array.of(0)));
    for (const wrong of [-1, 3]) expect(() => takeRows(array, Int32Array.of(wrong))).toThrow(RangeError);
  });

  it("concatRows: takes apart what it put together, and refuses what does not fit", () => {
    const a = ndArray([1, 2], [1, 2]);
    const b = ndArray([3, 4, 5, 6], [2, 2]);
    const both = concatRows([a, b]);
    expect(both).toEqual(ndArray([1, 2, 3, 4, 5, 6], [3, 2]));
    expect(takeRows(both, Int32Array.of(1, 2))).toEqual(b);
    const other = ndArray([1, 2, 3], [1, 3]);
    expect(() => concatRows([a, other])).toThrow('"arrays" expected float32 rows of shape [2], got [3]');
    const int = ndArray(Int32Array.of(1, 2), [1, 2]) as unknown as NdArray;
    expect(() => concatRows([a, int])).toThrow(TypeError);
    expect(() => concatRows([])).toThrow(RangeError);
  });
});
