import { tf } from "./helpers.ts";

const { layers } = tf;

/** The CNN of examples/train-mnist. */
function mnist(): tf.LayersModel {
  const conv = { kernelSize: 4, strides: 2, padding: "same", activation: "relu" } as const;
  return tf.sequential({
    layers: [
      layers.conv2d({ ...conv, inputShape: [28, 28, 1], filters: 16 }),
      layers.conv2d({ ...conv, filters: 32 }),
      layers.flatten(),
      layers.dense({ units: 100, activation: "relu" }),
      layers.dense({ units: 10 }),
    ],
  });
}

/** The CNN of Madry et al. for MNIST, with its dropout. */
function madry(): tf.LayersModel {
  const conv = { kernelSize: 5, padding: "same", activation: "relu" } as const;
  return tf.sequential({
    layers: [
      layers.conv2d({ ...conv, inputShape: [28, 28, 1], filters: 32 }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.conv2d({ ...conv, filters: 64 }),
      layers.maxPooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 1024, activation: "relu" }),
      layers.dropout({ rate: 0.4 }),
      layers.dense({ units: 10, activation: "softmax" }),
    ],
  });
}

/** Two residual blocks with batch normalisation, the second of half the size. */
function residual(): tf.LayersModel {
  const input = tf.input({ shape: [12, 12, 3], name: "photo" });
  const block = (x: tf.SymbolicTensor, filters: number, strides: number): tf.SymbolicTensor => {
    const conv = { filters, kernelSize: 3, padding: "same", useBias: false } as const;
    let y = layers.conv2d({ ...conv, strides }).apply(x);
    y = layers.reLU().apply(layers.batchNormalization({}).apply(y));
    y = layers.batchNormalization({}).apply(layers.conv2d(conv).apply(y));
    const skip = strides === 1 ? x : layers.conv2d({ ...conv, kernelSize: 1, strides }).apply(x);
    return layers.reLU().apply(layers.add().apply([y as tf.SymbolicTensor, skip as tf.SymbolicTensor])) as never;
  };
  const stem = layers.conv2d({ filters: 4, kernelSize: 3, padding: "same" }).apply(input) as tf.SymbolicTensor;
  const pooled = layers.globalAveragePooling2d({}).apply(block(block(stem, 4, 1), 8, 2));
  const output = layers.dense({ units: 5, name: "classes" }).apply(pooled) as tf.SymbolicTensor;
  return tf.model({ inputs: input, outputs: output });
}

/** Branches that are concatenated, averaged, multiplied; squeeze and excitation; two outputs. */
export function branches(): tf.LayersModel {
  const input = tf.input({ shape: [8, 8, 3] });
  const of = (layer: tf.layers.Layer, ...xs: unknown[]) =>
    layer.apply((xs.length === 1 ? xs[0] : xs) as never) as never;
  const a = of(layers.separableConv2d({ filters: 4, kernelSize: 3, padding: "same", activation: "relu6" }), input);
  const b = of(layers.conv2d({ filters: 4, kernelSize: 1 }), input);
  const both = of(layers.concatenate(), a, b);
  const mean = of(layers.average(), a, b);
  const gate = of(layers.dense({ units: 8, activation: "sigmoid" }), of(layers.globalAveragePooling2d({}), both));
  const excited = of(layers.multiply(), both, of(layers.reshape({ targetShape: [1, 1, 8] }), gate));
  const most = of(layers.minimum(), of(layers.maximum(), a, b, mean), b);
  const wide = of(layers.concatenate({ axis: 2 }), excited, excited);
  const first = of(layers.dense({ units: 3, name: "first" }), of(layers.flatten(), wide));
  const second = of(layers.conv2d({ filters: 2, kernelSize: 2, name: "second" }), most);
  return tf.model({ inputs: input, outputs: [first, second] });
}

/** Numbers of words, an embedding, a convolution over time. */
export function text(): tf.LayersModel {
  return tf.sequential({
    layers: [
      layers.embedding({ inputDim: 50, outputDim: 8, inputLength: 12 }),
      layers.spatialDropout1d({ rate: 0.2 }),
      layers.conv1d({ filters: 6, kernelSize: 3, padding: "same", activation: "relu" }),
      layers.layerNormalization({}),
      layers.globalMaxPooling1d({}),
      layers.dense({ units: 2, activation: "softmax" }),
    ],
  });
}

/** Two inputs, a layer and a model that are shared, a model inside a model. */
export function shared(): tf.LayersModel {
  const inner = tf.sequential({
    name: "tower",
    layers: [
      layers.conv2d({ filters: 3, kernelSize: 3, inputShape: [6, 6, 2], activation: "swish" }),
      layers.prelu(),
      layers.flatten(),
      layers.dense({ units: 6 }),
    ],
  });
  const left = tf.input({ shape: [6, 6, 2], name: "left" });
  const right = tf.input({ shape: [6, 6, 2], name: "right" });
  const dense = layers.dense({ units: 6, activation: "tanh" });
  const [a, b] = [left, right].map((x) => dense.apply(inner.apply(x)) as tf.SymbolicTensor);
  const again = dense.apply(a!) as tf.SymbolicTensor;
  const together = layers.add().apply([again, b!, a!]) as tf.SymbolicTensor;
  const dot = layers.dot({ axes: 1, normalize: true }).apply([a!, b!]) as tf.SymbolicTensor;
  return tf.model({ inputs: [left, right], outputs: layers.concatenate().apply([together, dot]) as tf.SymbolicTensor });
}

/** Attention by hand: products of sequences. */
function attention(): tf.LayersModel {
  const input = tf.input({ shape: [5, 4] });
  const project = () => layers.dense({ units: 6 }).apply(input) as tf.SymbolicTensor;
  const scores = layers.dot({ axes: 2 }).apply([project(), project()]) as tf.SymbolicTensor;
  const weights = layers.softmax({ axis: -1 }).apply(scores) as tf.SymbolicTensor;
  const mixed = layers.dot({ axes: [2, 1] }).apply([weights, project()]) as tf.SymbolicTensor;
  return tf.model({ inputs: input, outputs: layers.globalAveragePooling1d({}).apply(mixed) as tf.SymbolicTensor });
}

/** An autoencoder: down, up, cropped. */
export function autoencoder(): tf.LayersModel {
  return tf.sequential({
    name: "outer",
    layers: [
      tf.sequential({
        name: "encoder",
        layers: [
          layers.zeroPadding2d({ padding: 1, inputShape: [10, 10, 2] }),
          layers.depthwiseConv2d({ kernelSize: 3, strides: 2, depthMultiplier: 2 }),
          layers.leakyReLU(),
        ],
      }),
      layers.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, padding: "same", activation: "relu" }),
      layers.upSampling2d({}),
      layers.cropping2D({ cropping: 4 }),
      layers.conv2d({ filters: 2, kernelSize: 1, activation: "sigmoid" }),
    ],
  });
}

/** All of them, with the number of words where the input is words. */
export const wholeModels: Readonly<Record<string, { readonly make: () => tf.LayersModel; readonly words?: number }>> = {
  mnist: { make: mnist },
  madry: { make: madry },
  residual: { make: residual },
  branches: { make: branches },
  text: { make: text, words: 50 },
  shared: { make: shared },
  attention: { make: attention },
  autoencoder: { make: autoencoder },
};
