import { createRng } from "@parapet/core";
import { beforeAll, describe, expect, it } from "vitest";
import { convertLayersModel } from "../../src/convert/layers-model.ts";
import { artifactsOf, difference, disagreement, randomInputs, randomize, runOnnx, tf } from "./helpers.ts";

const { layers } = tf;
type Layers = readonly [name: string, inputShape: readonly (number | null)[], make: () => tf.layers.Layer[]];

const windows = (["valid", "same"] as const).flatMap((padding) =>
  [1, 2, 3].map((strides) => ({ padding, strides, name: `${padding}, stride ${strides}` })),
);

const cases: readonly Layers[] = [
  ["Dense", [5], () => [layers.dense({ units: 4 })]],
  ["Dense without bias", [5], () => [layers.dense({ units: 4, useBias: false, activation: "tanh" })]],
  ["Dense on sequences", [6, 5], () => [layers.dense({ units: 4, activation: "relu" })]],
  ["Dense on images", [4, 6, 5], () => [layers.dense({ units: 3 })]],
  [
    "Dense behind a convolution",
    [4, 6, 2],
    () => [layers.conv2d({ filters: 3, kernelSize: 2 }), layers.dense({ units: 5, activation: "relu" })],
  ],
  ...windows.flatMap(({ padding, strides, name }): Layers[] => [
    [`Conv1D, ${name}`, [11, 3], () => [layers.conv1d({ filters: 4, kernelSize: 3, strides, padding })]],
    [`Conv2D, ${name}`, [9, 8, 3], () => [layers.conv2d({ filters: 4, kernelSize: [3, 2], strides, padding })]],
    [
      `DepthwiseConv2D, ${name}`,
      [9, 8, 3],
      () => [layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, strides, padding })],
    ],
    [
      `SeparableConv2D, ${name}`,
      [9, 8, 3],
      () => [layers.separableConv2d({ filters: 5, kernelSize: 3, depthMultiplier: 2, strides, padding })],
    ],
    ...[2, 3, 4].map(
      (kernelSize): Layers => [
        `Conv2DTranspose, ${name}, kernel ${kernelSize}`,
        [4, 5, 3],
        () => [layers.conv2dTranspose({ filters: 2, kernelSize, strides, padding })],
      ],
    ),
    [`MaxPooling1D, ${name}`, [11, 3], () => [layers.maxPooling1d({ poolSize: 3, strides, padding })]],
    [`MaxPooling2D, ${name}`, [9, 8, 3], () => [layers.maxPooling2d({ poolSize: [3, 2], strides, padding })]],
    [`AveragePooling1D, ${name}`, [11, 3], () => [layers.averagePooling1d({ poolSize: 3, strides, padding })]],
    [
      `AveragePooling2D, ${name}`,
      [9, 8, 3],
      () => [layers.averagePooling2d({ poolSize: [3, 2], strides: [strides, strides], padding })],
    ],
  ]),
  ["Conv1D, dilated", [11, 3], () => [layers.conv1d({ filters: 4, kernelSize: 3, dilationRate: 2, padding: "same" })]],
  ["Conv2D, dilated", [9, 8, 3], () => [layers.conv2d({ filters: 4, kernelSize: 3, dilationRate: [2, 1] })]],
  ["Conv2D, one channel", [9, 8, 1], () => [layers.conv2d({ filters: 4, kernelSize: 3, useBias: false })]],
  [
    "Conv2D, softmax over channels",
    [5, 5, 2],
    () => [layers.conv2d({ filters: 4, kernelSize: 3, activation: "softmax" })],
  ],
  [
    "Conv2D, channels first",
    [3, 9, 8],
    () => [
      layers.conv2d({ filters: 4, kernelSize: 3, dataFormat: "channelsFirst", activation: "softmax" }),
      layers.maxPooling2d({ dataFormat: "channelsFirst" }),
      layers.flatten({ dataFormat: "channelsFirst" }),
      layers.dense({ units: 2 }),
    ],
  ],
  [
    "Conv2D, unknown lengths",
    [null, null, 2],
    () => [layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: "same" }), layers.globalMaxPooling2d({})],
  ],
  ["pooling by default", [8, 8, 2], () => [layers.maxPooling2d({}), layers.averagePooling2d({})]],
  ["GlobalAveragePooling1D", [6, 3], () => [layers.globalAveragePooling1d({})]],
  ["GlobalMaxPooling1D", [6, 3], () => [layers.conv1d({ filters: 2, kernelSize: 2 }), layers.globalMaxPooling1d({})]],
  ["GlobalAveragePooling2D", [6, 5, 3], () => [layers.globalAveragePooling2d({})]],
  [
    "GlobalMaxPooling2D",
    [6, 5, 3],
    () => [layers.conv2d({ filters: 2, kernelSize: 2 }), layers.globalMaxPooling2d({})],
  ],
  ["GlobalMaxPooling2D, channels first", [3, 6, 5], () => [layers.globalMaxPooling2d({ dataFormat: "channelsFirst" })]],
  ["BatchNormalization", [5], () => [layers.batchNormalization({ epsilon: 1e-5 })]],
  ["BatchNormalization on sequences", [4, 5], () => [layers.batchNormalization({})]],
  ["BatchNormalization on images", [4, 5, 3], () => [layers.batchNormalization({})]],
  [
    "BatchNormalization without scale and offset",
    [4, 5, 3],
    () => [layers.batchNormalization({ scale: false, center: false })],
  ],
  [
    "BatchNormalization behind Flatten",
    [4, 5, 3],
    () => [
      layers.conv2d({ filters: 3, kernelSize: 2 }),
      layers.flatten(),
      layers.batchNormalization({}),
      layers.dropout({ rate: 0.5 }),
      layers.leakyReLU(),
      layers.dense({ units: 3 }),
    ],
  ],
  ["LayerNormalization", [6, 5], () => [layers.layerNormalization({})]],
  [
    "LayerNormalization without scale",
    [6, 5],
    () => [layers.layerNormalization({ scale: false, center: false, epsilon: 0.1 })],
  ],
  ["LayerNormalization over two axes", [6, 5], () => [layers.layerNormalization({ axis: [1, 2] })]],
  [
    "LayerNormalization behind a convolution",
    [6, 5, 2],
    () => [layers.conv2d({ filters: 3, kernelSize: 2 }), layers.layerNormalization({ center: false })],
  ],
  ["Flatten", [3, 4, 2], () => [layers.flatten()]],
  ["Flatten as the output", [3, 4, 2], () => [layers.conv2d({ filters: 3, kernelSize: 2 }), layers.flatten()]],
  ["Flatten, channels first", [3, 4, 2], () => [layers.flatten({ dataFormat: "channelsFirst" })]],
  [
    "Flatten of a sequence",
    [8, 4],
    () => [layers.conv1d({ filters: 3, kernelSize: 2 }), layers.flatten(), layers.dense({ units: 2 })],
  ],
  ["Reshape", [4, 6], () => [layers.reshape({ targetShape: [3, 2, 4] })]],
  ["Reshape with an open axis", [4, 6], () => [layers.reshape({ targetShape: [-1, 2] })]],
  [
    "Reshape behind a convolution",
    [5, 4, 2],
    () => [layers.conv2d({ filters: 3, kernelSize: 2 }), layers.reshape({ targetShape: [6, 6] })],
  ],
  [
    "Reshape behind Flatten",
    [5, 4, 2],
    () => [layers.conv2d({ filters: 3, kernelSize: 2 }), layers.flatten(), layers.reshape({ targetShape: [6, 6] })],
  ],
  ["Permute", [4, 6, 3], () => [layers.permute({ dims: [3, 1, 2] })]],
  [
    "Permute behind a convolution",
    [4, 6, 3],
    () => [layers.conv2d({ filters: 3, kernelSize: 2 }), layers.permute({ dims: [2, 3, 1] })],
  ],
  ["RepeatVector", [4], () => [layers.repeatVector({ n: 3 })]],
  [
    "Dropout and noise",
    [4, 6],
    () => [
      layers.dropout({ rate: 0.5 }),
      layers.spatialDropout1d({ rate: 0.5 }),
      layers.gaussianNoise({ stddev: 1 }),
      layers.gaussianDropout({ rate: 0.5 }),
      layers.alphaDropout({ rate: 0.5 }),
      layers.dense({ units: 2 }),
    ],
  ],
  ["ReLU", [9], () => [layers.reLU()]],
  ["ReLU with a maximum", [9], () => [layers.reLU({ maxValue: 0.5 })]],
  ["LeakyReLU", [9], () => [layers.leakyReLU({ alpha: 0.2 })]],
  ["PReLU", [4, 3], () => [layers.prelu()]],
  ["PReLU behind a convolution", [6, 5, 3], () => [layers.conv2d({ filters: 2, kernelSize: 2 }), layers.prelu()]],
  [
    "PReLU with shared axes",
    [6, 5, 3],
    () => [layers.conv2d({ filters: 2, kernelSize: 2 }), layers.prelu({ sharedAxes: [1, 2] })],
  ],
  ["ELU", [9], () => [layers.elu()]],
  ["ThresholdedReLU", [9], () => [layers.thresholdedReLU({ theta: 0.4 })]],
  ["Softmax", [9], () => [layers.softmax()]],
  [
    "Softmax behind a convolution",
    [6, 5, 3],
    () => [layers.conv2d({ filters: 4, kernelSize: 2 }), layers.softmax({ axis: -1 })],
  ],
  [
    "ZeroPadding2D",
    [4, 5, 2],
    () => [
      layers.zeroPadding2d({
        padding: [
          [1, 2],
          [0, 3],
        ],
      }),
    ],
  ],
  ["ZeroPadding2D by default", [4, 5, 2], () => [layers.zeroPadding2d(), layers.zeroPadding2d({ padding: [1, 2] })]],
  [
    "Cropping2D",
    [7, 8, 2],
    () => [
      layers.cropping2D({
        cropping: [
          [1, 2],
          [0, 3],
        ],
      }),
      layers.cropping2D({ cropping: [1, 1] }),
    ],
  ],
  ["UpSampling2D", [3, 4, 2], () => [layers.upSampling2d({ size: [2, 3] })]],
  ["UpSampling2D, bilinear", [3, 4, 2], () => [layers.upSampling2d({ size: [3, 2], interpolation: "bilinear" })]],
  ["Rescaling", [3, 4, 2], () => [layers.rescaling({ scale: 1 / 255, offset: -1 })]],
  ...(
    [
      "linear",
      "relu",
      "relu6",
      "sigmoid",
      "hardSigmoid",
      "softmax",
      "tanh",
      "elu",
      "selu",
      "softplus",
      "softsign",
      "swish",
      "mish",
      "gelu",
      "gelu_new",
      "logSoftmax",
    ] as const
  ).map(
    (activation): Layers => [
      `activation ${activation}`,
      [4, 3],
      () => [
        layers.dense({ units: 6, kernelInitializer: "randomNormal" }),
        layers.activation({ activation: activation as "relu" }),
      ],
    ],
  ),
];

beforeAll(async () => {
  await tf.setBackend("cpu");
});

describe("convertLayersModel computes what tfjs predicts", () => {
  it.each(cases)("%s", async (_, inputShape, make) => {
    const [first, ...others] = make();
    const start = layers.inputLayer({ inputShape: [...inputShape] as number[] });
    const model = tf.sequential({ layers: [start, first!, ...others] });
    randomize(model, 3);
    expect(await disagreement(model, await artifactsOf(model))).toBeLessThan(1e-5);
  });
});

// The cpu backend of tfjs takes the statistics in the wrong order here: the definition is the reference.
it("BatchNormalization along the second of four axes follows the definition", async () => {
  const model = tf.sequential({ layers: [layers.batchNormalization({ axis: 1, inputShape: [3, 4, 5] })] });
  randomize(model, 5);
  const [x] = randomInputs(model, 2, createRng(6));
  const [gamma, beta, mean, variance] = model.getWeights().map((weight) => weight.reshape([1, 3, 1, 1]));
  const wanted = x!.sub(mean!).div(variance!.add(1e-3).sqrt()).mul(gamma!).add(beta!);
  const [got] = await runOnnx(convertLayersModel(await artifactsOf(model)), [x!]);
  expect(difference(wanted.dataSync(), got!.data as Float32Array)).toBeLessThan(1e-5);
});
