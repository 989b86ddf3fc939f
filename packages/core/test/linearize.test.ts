import { describe, expect, it } from "vitest";
import { createPacer, type Loss, linearizeByRecompute, type NdArray, ndArray } from "../src/index.ts";

/** z = (x, 3 x): the derivative of c . z by x is c_0 + 3 c_1. */
const model = {
  async logits(x: NdArray) {
    return ndArray(
      [...x.data].flatMap((value) => [value, 3 * value]),
      [x.shape[0]!, 2],
    );
  },
  async gradient(x: NdArray, loss: Loss) {
    const logits = await model.logits(x);
    const c = loss.cotangent(logits).data;
    const gradient = ndArray(
      x.data.map((_, i) => c[2 * i]! + 3 * c[2 * i + 1]!),
      x.shape,
    );
    return { logits, value: loss.value(logits), gradient };
  },
};

describe("linearizeByRecompute", () => {
  const x = ndArray([1, 2], [2, 1]);

  it("pulls back what it is given, as often as asked", async () => {
    const pass = await linearizeByRecompute(model)(x);
    expect(pass.logits).toEqual(ndArray([1, 3, 2, 6], [2, 2]));
    for (let i = 0; i < 2; i++) {
      expect(await pass.pullback(ndArray([1, 0, 0, 1], [2, 2]))).toEqual(ndArray([1, 3], [2, 1]));
    }
    expect(await pass.pullback(ndArray([2, 1, 0, 0], [2, 2]))).toEqual(ndArray([5, 0], [2, 1]));
  });

  it("keeps the inputs of its forward pass, whatever the caller does with them later", async () => {
    const mine = ndArray([1, 2], [2, 1]);
    const seen: number[] = [];
    const curious = {
      ...model,
      gradient(at: NdArray, loss: Loss) {
        seen.push(...at.data);
        return model.gradient(at, loss);
      },
    };
    const pass = await linearizeByRecompute(curious)(mine);
    mine.data.fill(9);
    await pass.pullback(ndArray([1, 0, 0, 1], [2, 2]));
    expect(seen).toEqual([1, 2]);
  });

  it("rejects after release", async () => {
    const pass = await linearizeByRecompute(model)(x);
    pass.release();
    pass.release();
    await expect(pass.pullback(ndArray([1, 0, 0, 1], [2, 2]))).rejects.toThrow(
      '"linearization" expected one that is not released',
    );
  });
});

describe("createPacer", () => {
  it("lets timers through a loop of promises", async () => {
    let fired = false;
    setTimeout(() => {
      fired = true;
    }, 5);
    const pace = createPacer();
    const start = performance.now();
    while (!fired && performance.now() - start < 5000) await pace();
    expect(fired).toBe(true);
  });

  it("throws the signal's reason: before the loop, and in it", async () => {
    const reason = new Error("enough");
    await expect(createPacer(AbortSignal.abort(reason))()).rejects.toBe(reason);
    const controller = new AbortController();
    const pace = createPacer(controller.signal);
    await pace();
    controller.abort(reason);
    await expect(pace()).rejects.toBe(reason);
  });
});
