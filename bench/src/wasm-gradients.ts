import { createRequire } from "node:module";
import { dirname } from "node:path";
import { registerFastGradients } from "@parapet/tfjs/fast-wasm";
import * as tf from "@tensorflow/tfjs";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { median, rounded } from "../statistics.ts";

export const name = "wasm-gradients";

interface Options {
  readonly signal?: AbortSignal;
  readonly log: (line: string) => void;
}

interface Result {
  readonly rows: Record<string, string | number>[];
  readonly summary: Record<string, number | string | boolean>;
}

type Variant = "cpu" | "wasm, stock" | "wasm, fast";

/** What is timed: a piece of work on a backend, with or without the fast gradients. */
interface Contender {
  readonly work: string;
  readonly variant: Variant;
  /** Timed runs in each round. */
  readonly runs: number;
  readonly run: () => void;
  readonly times: number[];
}

const { conv2d, dense, flatten, maxPooling2d } = tf.layers;
const inputShape = [28, 28, 1];
const same = { padding: "same", activation: "relu" } as const;

/** The MNIST network of E. Wong, L. Rice and J. Z. Kolter, "Fast is better than free", 2020: 166,406 parameters. */
const smallNetwork = () =>
  tf.sequential({
    layers: [
      conv2d({ ...same, inputShape, filters: 16, kernelSize: 4, strides: 2 }),
      conv2d({ ...same, filters: 32, kernelSize: 4, strides: 2 }),
      flatten(),
      dense({ units: 100, activation: "relu" }),
      dense({ units: 10 }),
    ],
  });

/** The MNIST network of A. Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018. */
const largeNetwork = () =>
  tf.sequential({
    layers: [
      conv2d({ ...same, inputShape, filters: 32, kernelSize: 5 }),
      maxPooling2d({ poolSize: 2 }),
      conv2d({ ...same, filters: 64, kernelSize: 5 }),
      maxPooling2d({ poolSize: 2 }),
      flatten(),
      dense({ units: 1024, activation: "relu" }),
      dense({ units: 10 }),
    ],
  });

/** Work on one batch: data and weights are made on the backend that is current then. */
function workOn(network: () => tf.Sequential, batch: number) {
  const model = network();
  const x = tf.randomUniform([batch, ...inputShape], 0, 1, "float32", 1);
  const y = tf.tidy(() => tf.oneHot(tf.randomUniform([batch], 0, 10, "int32", 2), 10).toFloat());
  const optimizer = tf.train.adam(0.001);
  const loss = (input: tf.Tensor) =>
    tf.losses.softmaxCrossEntropy(y, model.apply(input, { training: true }) as tf.Tensor) as tf.Scalar;
  return {
    /** One step of Adam, and the loss read. */
    train: () => tf.tidy(() => void optimizer.minimize(() => loss(x), true)!.dataSync()),
    /** The gradient of the loss by the batch, read. */
    inputGradient: () => tf.tidy(() => void tf.grad(loss)(x).dataSync()),
  };
}

/**
 * Times the gradients of two MNIST networks with the stock backends and with `registerFastGradients`, in one process and in
 * turn, so that what else the machine does falls on all alike.
 */
export async function run({ signal, log }: Options): Promise<Result> {
  setWasmPaths(`${dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm"))}/`);
  await tf.setBackend("cpu");
  const cpu = workOn(smallNetwork, 100);
  await tf.setBackend("wasm");
  const small = workOn(smallNetwork, 100);
  const large = workOn(largeNetwork, 64);
  const contender = (work: string, variant: Variant, runs: number, run: () => void): Contender => {
    return { work, variant, runs, run, times: [] };
  };
  const training = "training step, small network, batch 100";
  const attack = "input gradient, Madry network, batch 64";
  const smallAttack = "input gradient, small network, batch 100";
  const contenders = [
    contender(training, "cpu", 1, cpu.train),
    contender(training, "wasm, fast", 10, small.train),
    contender(attack, "wasm, stock", 2, large.inputGradient),
    contender(attack, "wasm, fast", 4, large.inputGradient),
    contender(smallAttack, "wasm, stock", 5, small.inputGradient),
    contender(smallAttack, "wasm, fast", 10, small.inputGradient),
  ];

  const rounds = 5;
  for (let round = 0; round < rounds; round++) {
    for (const { variant, runs, run, times } of contenders) {
      await tf.setBackend(variant === "cpu" ? "cpu" : "wasm");
      const undo = variant === "wasm, fast" ? registerFastGradients() : () => {};
      try {
        // Warm-up, for which a step on the cpu backend is too long.
        if (round === 0 && variant !== "cpu") for (let i = 0; i < 3; i++) run();
        for (let i = 0; i < runs; i++) {
          // A turn of the event loop, without which an abort would not be seen.
          await new Promise((resolve) => setTimeout(resolve));
          signal?.throwIfAborted();
          const start = performance.now();
          run();
          times.push(performance.now() - start);
        }
      } finally {
        undo();
      }
    }
    log(`round ${round + 1} of ${rounds}`);
  }

  const found = (work: string, variant: Variant): number =>
    median(contenders.find((one) => one.work === work && one.variant === variant)!.times);
  const ratio = (work: string, slow: Variant): number => found(work, slow) / found(work, "wasm, fast");
  return {
    rows: contenders.map(({ work, variant, times }) => ({
      work,
      backend: variant,
      "median ms": rounded(median(times)),
      "least ms": rounded(Math.min(...times)),
      runs: times.length,
    })),
    summary: {
      "training step, cpu over fast wasm": rounded(ratio(training, "cpu")),
      "training step at least 60 times faster": ratio(training, "cpu") >= 60,
      "input gradient, stock over fast wasm": rounded(ratio(attack, "wasm, stock")),
      "input gradient at least 3 times faster": ratio(attack, "wasm, stock") >= 3,
      "small input gradient, stock over fast wasm": rounded(ratio(smallAttack, "wasm, stock")),
    },
  };
}
