import { createRng, expected, sizeOf } from "@parapet/core";
import * as tf from "@tensorflow/tfjs-core";

/** What is used of a layer of tfjs-layers, structurally: nothing of that package is imported at run time. */
export interface LayerLike {
  readonly name: string;
  getClassName(): string;
  call(inputs: unknown, kwargs: Record<string, unknown>): unknown;
  readonly layers?: readonly LayerLike[];
  activation?: { getClassName(): string; apply(x: tf.Tensor, axis?: number): tf.Tensor } | null;
  readonly rate?: number;
  getNoiseShape?(input: tf.Tensor): readonly number[] | null | undefined;
}

const DROPOUT = new Set(["Dropout", "SpatialDropout1D"]);
const OTHER_RANDOM = new Set(["GaussianNoise", "GaussianDropout", "AlphaDropout"]);

/** All layers, those of models within the model included. */
export function allLayers(model: { readonly layers: readonly LayerLike[] }): LayerLike[] {
  return model.layers.flatMap((layer) =>
    layer.layers === undefined ? [layer] : allLayers(layer as Required<LayerLike>),
  );
}

/**
 * Runs `f` with the model's dropout layers drawing from `keys`, one key per row. tfjs's own dropout either repeats one
 * mask at every call (with a seed) or cannot be reproduced (without).
 *
 * @throws TypeError when there are dropout layers and no keys, or a random layer that has no keyed form
 */
export function withKeyedDropout<T>(layers: readonly LayerLike[], keys: Uint32Array | undefined, f: () => T): T {
  const random = layers.filter((layer) => isRandom(layer));
  if (random.length === 0) return f();
  for (const layer of random) {
    if (!DROPOUT.has(layer.getClassName())) {
      throw new TypeError(
        expected(
          layer.name,
          "Dropout, or a fromFunction() that draws from its keys, as the only randomness in training mode",
          layer.getClassName(),
        ),
      );
    }
  }
  if (keys === undefined) {
    throw new TypeError(expected("keys", `one random key per row, because "${random[0]!.name}" is random`, keys));
  }
  try {
    random.forEach((layer, index) => {
      layer.call = (inputs) => {
        const x = (Array.isArray(inputs) ? inputs[0] : inputs) as tf.Tensor;
        return dropout(x, layer.getNoiseShape?.(x) ?? x.shape, layer.rate!, keys, index);
      };
    });
    return f();
  } finally {
    // The own property goes, the method of the class shows again.
    for (const layer of random) Reflect.deleteProperty(layer, "call");
  }
}

function isRandom(layer: LayerLike): boolean {
  const name = layer.getClassName();
  return (DROPOUT.has(name) && (layer.rate ?? 0) > 0) || OTHER_RANDOM.has(name);
}

function dropout(
  x: tf.Tensor,
  noiseShape: readonly number[],
  rate: number,
  keys: Uint32Array,
  layer: number,
): tf.Tensor {
  const n = x.shape[0]!;
  if (keys.length !== n) throw new TypeError(expected("keys", `${n} keys, one a row`, keys.length));
  const width = sizeOf(noiseShape.slice(1));
  const mask = new Float32Array(n * width);
  for (let row = 0; row < n; row++) {
    const rng = createRng(keys[row]!).derive("dropout").derive(layer);
    for (let j = row * width; j < (row + 1) * width; j++) mask[j] = rng.next() < rate ? 0 : 1 / (1 - rate);
  }
  return tf.mul(x, tf.tensor(mask, [n, ...noiseShape.slice(1)]));
}
