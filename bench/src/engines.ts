import { createRequire } from "node:module";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { crossEntropy, type DifferentiableClassifier, ndArray, type TrainableClassifier } from "@parapet/core";
import { adam, convertLayersModel, fromOnnx, sgd } from "@parapet/onnx";
import { fromLayersModel } from "@parapet/tfjs";
import { registerFastGradients } from "@parapet/tfjs/fast-wasm";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import * as runtime from "onnxruntime-node";
import { openPage, type Page } from "../browser/page.ts";
import { startPyTorch, type Work } from "../peers/pytorch.ts";
import { median, rounded } from "../statistics.ts";

export const name = "engines";

interface Options {
  readonly signal: AbortSignal;
  readonly log: (line: string) => void;
}

const { add, activation, batchNormalization, conv2d, dense, flatten, globalAveragePooling2d, maxPooling2d } = tf.layers;
const same = { padding: "same", activation: "relu" } as const;

/** The MNIST network of E. Wong, L. Rice and J. Z. Kolter, "Fast is better than free", 2020: 166,406 parameters. */
function small(): tf.LayersModel {
  return tf.sequential({
    layers: [
      conv2d({ ...same, inputShape: [28, 28, 1], filters: 16, kernelSize: 4, strides: 2 }),
      conv2d({ ...same, filters: 32, kernelSize: 4, strides: 2 }),
      flatten(),
      dense({ units: 100, activation: "relu" }),
      dense({ units: 10 }),
    ],
  });
}

/** The MNIST network of A. Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018. */
function madry(): tf.LayersModel {
  return tf.sequential({
    layers: [
      conv2d({ ...same, inputShape: [28, 28, 1], filters: 32, kernelSize: 5 }),
      maxPooling2d({ poolSize: 2 }),
      conv2d({ ...same, filters: 64, kernelSize: 5 }),
      maxPooling2d({ poolSize: 2 }),
      flatten(),
      dense({ units: 1024, activation: "relu" }),
      dense({ units: 10 }),
    ],
  });
}

/** ResNet-18 of K. He et al., "Deep residual learning for image recognition", 2015, with TensorFlow's padding. */
function resnet18(): tf.LayersModel {
  const conv = (x: tf.SymbolicTensor, filters: number, kernelSize: number, strides: number): tf.SymbolicTensor => {
    const y = conv2d({ filters, kernelSize, strides, padding: "same", useBias: false }).apply(x);
    return batchNormalization({ momentum: 0.9 }).apply(y) as tf.SymbolicTensor;
  };
  const relu = (x: tf.SymbolicTensor) => activation({ activation: "relu" }).apply(x) as tf.SymbolicTensor;
  const image = tf.input({ shape: [224, 224, 3] });
  let y = relu(conv(image, 64, 7, 2));
  y = maxPooling2d({ poolSize: 3, strides: 2, padding: "same" }).apply(y) as tf.SymbolicTensor;
  for (const filters of [64, 128, 256, 512]) {
    for (const block of [0, 1]) {
      const strides = block === 0 && filters > 64 ? 2 : 1;
      const beside = strides === 1 ? y : conv(y, filters, 1, strides);
      const through = conv(relu(conv(y, filters, 3, strides)), filters, 3, 1);
      y = relu(add().apply([through, beside]) as tf.SymbolicTensor);
    }
  }
  const logits = dense({ units: 1000 }).apply(globalAveragePooling2d({}).apply(y)) as tf.SymbolicTensor;
  return tf.model({ inputs: image, outputs: logits });
}

/** Multiplications of a forward pass for one example, convolutions and dense layers; and how often each row is timed. */
const networks = {
  small: { make: small, products: 609_384, inputShape: [28, 28, 1], runs: 15, batches: [64, 128] },
  madry: { make: madry, products: 13_883_904, inputShape: [28, 28, 1], runs: 6, batches: [64, 128] },
  resnet18: { make: resnet18, products: 1_814_073_344, inputShape: [224, 224, 3], runs: 2, batches: [8] },
} as const;

const rounds = 5;
const bounds = { lower: 0, upper: 1 };

/** One work on one engine. */
interface Contender {
  readonly run: (runs: number, warmup: number) => Promise<readonly number[]>;
  readonly times: number[][];
}

/**
 * Input gradients and training steps on every engine that is there, in turn: first a few runs of the one, then a few of
 * the next, so that what else the machine does falls on all alike. The ratio is the median of the rounds' ratios.
 */
export async function run({ signal, log }: Options) {
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"))}/`);
  await tf.setBackend("cpu");
  const peer = await startPyTorch();
  const page = await openPage();
  log(
    peer === undefined ? "without PyTorch: no Python with torch (PARAPET_PYTHON names one)" : `PyTorch ${peer.version}`,
  );
  if (page === undefined) log("without Chromium: none is installed");
  try {
    const peaks = { 1: await peak(1), 2: await peak(2) };
    const rows: Awaited<ReturnType<typeof compare>>[] = [];
    for (const work of works()) {
      signal.throwIfAborted();
      rows.push(await compare(work, peaks[work.threads], peer, page, signal));
      log(`${work.network}, ${work.work}, batch ${work.batch}, ${work.threads} threads: done`);
    }
    const ratios = (kind: string) => rows.flatMap((row) => (row.work.startsWith(kind) ? [row["to PyTorch"]] : []));
    const most = (values: readonly (number | null)[]) =>
      values.every((value) => value !== null) ? Math.max(...values) : null;
    return {
      rows,
      summary: {
        "matrix product, GFLOP/s, 1 and 2 threads": [rounded(peaks[1]), rounded(peaks[2])],
        "input gradients, most to PyTorch": most(ratios("input")),
        "training steps, most to PyTorch": most(ratios("training")),
        "least to tfjs wasm": Math.min(...rows.flatMap((row) => row["wasm to onnx"] ?? [])),
        "to PyTorch": "onnx (node) over PyTorch eager, 1 is as fast; median of the ratios of 5 rounds in turn",
      },
    };
  } finally {
    peer?.close();
    await page?.close();
  }
}

function works(): Work[] {
  const all: Work[] = [];
  for (const threads of [1, 2] as const) {
    for (const [network, { batches }] of Object.entries(networks)) {
      for (const batch of batches) {
        const kinds = ["input gradient", "training step, sgd"] as const;
        for (const work of kinds) all.push({ network: network as Work["network"], work, batch, threads });
      }
      if (network === "madry") all.push({ network, work: "training step, adam", batch: 64, threads });
    }
  }
  return all;
}

type Pytorch = Awaited<ReturnType<typeof startPyTorch>>;

async function compare(work: Work, peakRate: number, peer: Pytorch, page: Page | undefined, signal: AbortSignal) {
  const { network, batch, threads } = work;
  const { products, runs, inputShape } = networks[network];
  const opened = await open(work);
  const contenders: Record<string, Contender> = {
    onnx: { run: (count, warmup) => timed(opened.onnx, count, warmup, signal), times: [] },
  };
  if (peer !== undefined)
    contenders.pytorch = { run: (count, warmup) => peer.time({ ...work, runs: count, warmup }), times: [] };
  if (page !== undefined && work.work !== "training step, adam") {
    const kind = work.work === "input gradient" ? work.work : "training step";
    const ask = { model: opened.file, inputShape: [...inputShape], batch, threads, work: kind } as const;
    contenders.chromium = { run: (count, warmup) => page.time({ ...ask, runs: count, warmup }), times: [] };
  }
  try {
    for (let round = 0; round < rounds; round++) {
      for (const [engine, { run, times }] of Object.entries(contenders)) {
        // Chromium takes its time: fewer runs and rounds. The pause lets the threads of the one before go to sleep.
        if (engine === "chromium" && round > 1) continue;
        await sleep(100);
        const count = engine === "chromium" ? Math.max(1, Math.floor(runs / 3)) : runs;
        times.push([...(await run(count, round === 0 ? Math.min(3, runs) : 1))]);
      }
    }
    const middle = (engine: string) => {
      const all = contenders[engine]?.times.flat() ?? [];
      return all.length === 0 ? null : rounded(median(all));
    };
    const ratios = contenders.onnx!.times.map((times, i) => {
      const other = contenders.pytorch?.times[i];
      return other === undefined ? Number.NaN : median(times) / median(other);
    });
    const onnx = middle("onnx")!;
    const wasm = await tfjsTimes(work, signal);
    const passes = work.work === "input gradient" ? 2 : 3;
    const rate = (2 * passes * products * batch) / (onnx * 1e6);
    return {
      network,
      work: work.work,
      batch,
      threads,
      "onnx ms": onnx,
      "PyTorch ms": middle("pytorch"),
      "to PyTorch": peer === undefined ? null : rounded(median(ratios)),
      "of peak": `${Math.round((100 * rate) / peakRate)} %`,
      "Chromium ms": middle("chromium"),
      "tfjs wasm ms": wasm.wasm,
      "wasm to onnx": wasm.wasm === null ? null : rounded(wasm.wasm / onnx),
      "tfjs cpu ms": wasm.cpu,
    };
  } finally {
    await opened.release();
  }
}

/** The network on onnxruntime. */
async function open({ network, work, batch, threads }: Work) {
  await tf.setBackend("cpu");
  const { make, inputShape } = networks[network];
  const layers = make();
  const artifacts = await new Promise<tf.io.ModelArtifacts>((resolve) => {
    void layers.save(
      tf.io.withSaveHandler(async (saved) => {
        resolve(saved);
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
      }),
    );
  });
  layers.dispose();
  const file = convertLayersModel(artifacts as Parameters<typeof convertLayersModel>[0]);
  const session = { intraOpNumThreads: threads };
  const optimizer = work.endsWith("adam") ? adam(1e-3) : sgd(1e-3);
  const model = await (work === "input gradient"
    ? fromOnnx(file, { runtime, bounds, session })
    : fromOnnx(file, { runtime, bounds, session, optimizer }));
  return { file, onnx: doing(model, work, batch, inputShape), release: () => model.release() };
}

/** One run of a work. */
function doing(model: DifferentiableClassifier, work: Work["work"], batch: number, inputShape: readonly number[]) {
  const size = inputShape.reduce((product, length) => product * length, batch);
  const x = ndArray(
    Float32Array.from({ length: size }, (_, i) => (Math.sin(i) + 1) / 2),
    [batch, ...inputShape],
  );
  const loss = crossEntropy(Int32Array.from({ length: batch }, (_, i) => i % 10));
  if (work === "input gradient") return () => model.gradient(x, loss);
  return () => (model as TrainableClassifier).step(x, loss);
}

/** TensorFlow.js: wasm with fast gradients, and the cpu backend for the network that it gets through. */
async function tfjsTimes({ network, work, batch, threads }: Work, signal: AbortSignal) {
  const none = { wasm: null, cpu: null };
  // It has one thread in Node.
  if (threads !== 1 || work === "training step, adam") return none;
  const { make, inputShape, runs } = networks[network];
  const on = async (backend: "wasm" | "cpu", count: number, warmup: number): Promise<number> => {
    await tf.setBackend(backend);
    const undo = backend === "wasm" ? registerFastGradients() : () => {};
    const layers = make();
    try {
      const model = fromLayersModel(layers, { bounds, optimizer: tf.train.sgd(1e-3) });
      return rounded(median(await timed(doing(model, work, batch, inputShape), count, warmup, signal)));
    } finally {
      layers.dispose();
      undo();
      await tf.setBackend("cpu");
    }
  };
  const wasm = await on("wasm", Math.max(1, Math.floor(runs / 3)), network === "resnet18" ? 0 : 1);
  return { wasm, cpu: network === "small" && batch === 64 ? await on("cpu", 1, 0) : null };
}

async function timed(work: () => Promise<unknown>, runs: number, warmup: number, signal: AbortSignal) {
  for (let i = 0; i < warmup; i++) await work();
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    signal.throwIfAborted();
    const start = performance.now();
    await work();
    times.push(performance.now() - start);
  }
  return times;
}

/** What a product of two matrices of 1536 x 1536 reaches on onnxruntime, in GFLOP/s. */
async function peak(threads: number): Promise<number> {
  const size = 1536;
  // A file of one node: MatMul(a, b) -> y, each [size, size].
  const text = (field: number, value: string) => [(field << 3) | 2, value.length, ...new TextEncoder().encode(value)];
  const message = (field: number, bytes: readonly number[]) => [(field << 3) | 2, bytes.length, ...bytes];
  const dim = message(1, [8, (size & 127) | 128, size >> 7]);
  const info = (field: number, value: string) =>
    message(field, [...text(1, value), ...message(2, message(1, [8, 1, ...message(2, [...dim, ...dim])]))]);
  const node = message(1, [...text(1, "a"), ...text(1, "b"), ...text(2, "y"), ...text(4, "MatMul")]);
  const graph = message(7, [...node, ...text(2, "g"), ...info(11, "a"), ...info(11, "b"), ...info(12, "y")]);
  const file = Uint8Array.from([8, 8, ...graph, ...message(8, [16, 18])]);
  const session = await runtime.InferenceSession.create(file, { intraOpNumThreads: threads });
  const matrix = new runtime.Tensor("float32", new Float32Array(size * size).fill(0.5), [size, size]);
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 12; i++) {
    const start = performance.now();
    await session.run({ a: matrix, b: matrix });
    best = Math.min(best, performance.now() - start);
  }
  await session.release();
  return (2 * size ** 3) / (best * 1e6);
}
