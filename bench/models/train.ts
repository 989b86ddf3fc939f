// Trains the networks that the attacks are compared on, and writes each as an ONNX file beside this one:
//   node --import tsx --conditions=@parapet/source bench/models/train.ts [standard] [fgsm] [pgd] [madry]
// One thread of onnxruntime, one seed for each network. recipes.json beside the files says what came out.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { adversarialTraining, cyclic, fastRecipe } from "@parapet/adversarial-training";
import { fgsm, pgd } from "@parapet/attacks";
import { createRng, type TrainableClassifier, untargeted } from "@parapet/core";
import { adam, convertLayersModel, fromOnnx, type LayersModelArtifacts, toOnnx } from "@parapet/onnx";
import * as tf from "@tensorflow/tfjs";
import * as runtime from "onnxruntime-node";
import { loadMnist, slice } from "../../examples/train-mnist/src/mnist.ts";

const { conv2d, dense, flatten, maxPooling2d } = tf.layers;
const inputShape = [28, 28, 1];
const same = { padding: "same", activation: "relu" } as const;
const start = (seed: number) => ({ kernelInitializer: tf.initializers.glorotUniform({ seed }) });

/** The MNIST network of E. Wong, L. Rice and J. Z. Kolter, "Fast is better than free", 2020: 166,406 parameters. */
const small = (seed: number) => [
  conv2d({ ...same, ...start(seed), inputShape, filters: 16, kernelSize: 4, strides: 2 }),
  conv2d({ ...same, ...start(seed + 1), filters: 32, kernelSize: 4, strides: 2 }),
  flatten(),
  dense({ ...start(seed + 2), units: 100, activation: "relu" }),
  dense({ ...start(seed + 3), units: 10 }),
];

/** The MNIST network of A. Madry et al., "Towards deep learning models resistant to adversarial attacks", 2018. */
const madry = (seed: number) => [
  conv2d({ ...same, ...start(seed), inputShape, filters: 32, kernelSize: 5 }),
  maxPooling2d({ poolSize: 2 }),
  conv2d({ ...same, ...start(seed + 1), filters: 64, kernelSize: 5 }),
  maxPooling2d({ poolSize: 2 }),
  flatten(),
  dense({ ...start(seed + 2), units: 1024, activation: "relu" }),
  dense({ ...start(seed + 3), units: 10 }),
];

const epsilon = 0.3;
const validationAttack = pgd({ epsilon, steps: 20, stepSize: 0.02, earlyStop: true });
/** The radius grows over the first tenth of the steps: at once at 0.3, a network may never leave its first plateau. */
const growing = (progress: number) => epsilon * Math.min(1, 10 * progress + 0.1);

const recipes = {
  standard: {
    layers: small,
    seed: 1,
    // Training without an attack is adversarial training at radius 0.
    training: adversarialTraining({
      attack: () => fgsm({ epsilon: 0 }),
      epsilon: 0,
      epochs: 3,
      learningRate: cyclic(3e-3),
    }),
  },
  fgsm: {
    layers: small,
    seed: 2,
    training: adversarialTraining(fastRecipe(fgsm, { epsilon, epochs: 10, validationAttack })),
  },
  pgd: {
    layers: small,
    seed: 3,
    training: adversarialTraining({
      attack: (radius) => pgd({ epsilon: radius, steps: 10, stepSize: radius / 4 }),
      epsilon: growing,
      epochs: 8,
      learningRate: cyclic(4e-3),
      validationAttack,
    }),
  },
  madry: {
    layers: madry,
    seed: 4,
    training: adversarialTraining(
      fastRecipe(fgsm, { epsilon: growing, epochs: 4, learningRate: cyclic(2e-3), validationAttack }),
    ),
  },
} as const;

type Name = keyof typeof recipes;

/** Too large to be kept as they are: their weights are rounded to 8 bits before they are judged, and compressed. */
const packed: readonly string[] = ["madry"];

const names = process.argv.slice(2);
const unknown = names.find((name) => !(name in recipes));
if (unknown !== undefined) throw new RangeError(`no recipe is called "${unknown}"`);

await tf.setBackend("cpu"); // only lays out the networks and their first weights
const { train, test } = loadMnist();
const validation = slice(train, 59_500, 60_000);
const images = slice(test, 0, 1000);
const file = new URL("recipes.json", import.meta.url);
const came: Record<string, unknown> = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};

for (const name of (names.length > 0 ? names : Object.keys(recipes)) as Name[]) {
  const { layers, seed, training } = recipes[name];
  const model = await open(layers(10 * seed));
  const began = performance.now();
  const { epochs, bestEpoch } = await training(model, slice(train, 0, 59_000), {
    rng: createRng(seed),
    validation,
    onProgress(event) {
      if (event.kind !== "epoch") return;
      const { epoch, loss, validation: held, durationMs } = event.report;
      const figures = `clean ${held?.clean.rate}, PGD-20 ${held?.attacked?.rate}`;
      console.log(`${name}, epoch ${epoch}: loss ${loss.toFixed(4)}, ${figures}, ${Math.round(durationMs / 1000)} s`);
    },
  });
  if (packed.includes(name)) await round(model);
  const seconds = Math.round((performance.now() - began) / 1000);
  const strong = pgd({ epsilon, steps: 40, stepSize: 0.01, earlyStop: true });
  const { success } = await strong(model, images.x, untargeted(images.labels), { rng: createRng(0) });
  const labels = (await model.labels(images.x)).data;
  const clean = labels.reduce((right, label, i) => right + Number(label === images.labels[i]), 0);
  const robust = success.data.reduce((held, reached) => held + 1 - reached, 0);
  const bytes = toOnnx(model);
  if (packed.includes(name)) writeFileSync(new URL(`${name}.onnx.gz`, import.meta.url), gzipSync(bytes, { level: 9 }));
  else writeFileSync(new URL(`${name}.onnx`, import.meta.url), bytes);
  came[name] = { seed, epochs: epochs.length, bestEpoch, seconds, "of 1000 test images": { clean, "PGD-40": robust } };
  writeFileSync(file, `${JSON.stringify(came, null, 2)}\n`);
  console.log(`${name}: ${clean} clean, ${robust} under PGD-40 of 1000 test images`);
}

/** Rounds each array of weights to 255 steps, from minus its largest size to it: what is then compressed, is small. */
async function round(model: TrainableClassifier): Promise<void> {
  const snapshot = await model.snapshot();
  const weights = new Map(
    [...snapshot.weights].map(([name, array]) => {
      const step = array.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
      return [name, { ...array, data: array.data.map((value) => step * Math.round(value / step)) }];
    }),
  );
  await model.restore({ ...snapshot, weights });
}

async function open(layers: tf.layers.Layer[]): Promise<TrainableClassifier> {
  const artifacts = await new Promise<LayersModelArtifacts>((resolve) => {
    void tf.sequential({ layers }).save(
      tf.io.withSaveHandler(async (saved) => {
        resolve(saved as LayersModelArtifacts);
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" } };
      }),
    );
  });
  const bounds = { lower: 0, upper: 1 };
  return fromOnnx(convertLayersModel(artifacts), {
    runtime,
    bounds,
    session: { intraOpNumThreads: 1 },
    optimizer: adam(1e-3),
  });
}
