import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerFastGradients } from "../../src/fast-wasm/index.ts";
import { runKernel, useBackend } from "./backends.ts";
import { values } from "./oracles.ts";

describe("Tile", () => {
  let undo: () => void;
  beforeAll(async () => {
    await useBackend("wasm");
    undo = registerFastGradients();
  });
  afterAll(() => undo());

  it.each([
    { shape: [1, 1, 1, 5], reps: [2, 3, 4, 1] },
    { shape: [7], reps: [3] },
    { shape: [1, 4, 2], reps: [3, 2, 1] },
    { shape: [1, 1], reps: [1, 1] },
    { shape: [2, 3], reps: [2, 3] }, // left to the stock kernel
    { shape: [1, 3], reps: [2, 2] },
    { shape: [2, 1], reps: [1, 6] },
  ])("$shape by $reps as on the cpu backend", async ({ shape, reps }) => {
    const x = values(shape, 3);
    const expected = await runKernel("cpu", "Tile", { x }, { reps });
    expect(await runKernel("wasm", "Tile", { x }, { reps })).toEqual(expected);
  });
});
