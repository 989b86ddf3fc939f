/// <reference types="onnxruntime-web" />
// Runs in the page that page.ts opens.
import { crossEntropy, ndArray, sizeOf } from "@parapet/core";
import { fromOnnx, sgd } from "@parapet/onnx";
import * as runtime from "onnxruntime-web/wasm";

/** What the page is asked to time. */
export interface Order {
  /** Where the ONNX file is served. */
  readonly file: string;
  /** Of one example. */
  readonly inputShape: readonly number[];
  readonly batch: number;
  readonly work: "input gradient" | "training step";
  readonly runs: number;
  readonly warmup: number;
}

declare global {
  var time: (order: Order) => Promise<number[]>;
}

const threads = Number(new URLSearchParams(location.search).get("threads"));
runtime.env.wasm.numThreads = threads;

/** The work that was timed last, open for the next time. */
let last: { readonly key: string; run(): Promise<unknown>; release(): Promise<void> } | undefined;

globalThis.time = async (order) => {
  const { runs, warmup, ...what } = order;
  const key = JSON.stringify(what);
  if (last?.key !== key) {
    await last?.release();
    last = undefined;
    last = { key, ...(await open(order)) };
  }
  const times: number[] = [];
  for (let i = 0; i < warmup + runs; i++) {
    const start = performance.now();
    await last.run();
    if (i >= warmup) times.push(performance.now() - start);
  }
  return times;
};

async function open({ file, inputShape, batch, work }: Order) {
  const bytes = new Uint8Array(await (await fetch(file)).arrayBuffer());
  const options = { runtime, bounds: { lower: 0, upper: 1 }, inputShape };
  const shape = [batch, ...inputShape];
  const x = ndArray(
    Float32Array.from({ length: sizeOf(shape) }, (_, i) => (Math.sin(i) + 1) / 2),
    shape,
  );
  const trained = work === "training step" ? await fromOnnx(bytes, { ...options, optimizer: sgd(1e-3) }) : undefined;
  const model = trained ?? (await fromOnnx(bytes, options));
  if (runtime.env.wasm.numThreads !== threads) throw new Error(`${threads} threads expected, got fewer`);
  const loss = crossEntropy(Int32Array.from({ length: batch }, (_, i) => i % model.numClasses));
  return {
    run: (): Promise<unknown> => (trained === undefined ? model.gradient(x, loss) : trained.step(x, loss)),
    release: () => model.release(),
  };
}
