/// <reference types="vite/client" />
import { crossEntropy, ndArray } from "@parapet/core";
import { assertClose } from "@parapet/testing";
import { fromOnnx } from "../../src/index.ts";
import type { Place } from "./runtimes.ts";

// Networks as PyTorch's exporters wrote them, with what PyTorch answers in float64: ../vectors/README.md says how.

interface Values {
  readonly shape: number[];
  readonly values: number[];
}

interface Reference {
  readonly input: Values;
  readonly labels: number[];
  readonly logits: Values;
  readonly inputGradient: Values;
}

const files = import.meta.glob<string>("../vectors/models/*.onnx", { query: "?url", import: "default" });
const references = import.meta.glob<Reference>("../vectors/models/*.json", { import: "default" });

/** The names of the networks that a pattern fits. */
export const networks = (pattern: RegExp): string[] =>
  Object.keys(files)
    .map((path) => path.replace(/^.*\/|\.onnx$/g, ""))
    .filter((name) => pattern.test(name));

/** In a browser: opens a network and demands PyTorch's logits and input gradient to 1e-3. */
export async function checkNetwork(name: string, place: Place): Promise<void> {
  const url = await files[`../vectors/models/${name}.onnx`]!();
  const given = await references[`../vectors/models/${name}.json`]!();
  const bytes = new Uint8Array(await (await fetch(url)).arrayBuffer());
  const { shape, values } = given.input;
  const model = await fromOnnx(bytes, {
    ...place,
    bounds: { lower: -100, upper: 100 },
    inputShape: shape.slice(1),
  });
  try {
    const { logits, gradient } = await model.gradient(ndArray(values, shape), crossEntropy(given.labels));
    assertClose(logits, given.logits.values, { absolute: 1e-3 * largest(given.logits.values) });
    assertClose(gradient, given.inputGradient.values, { absolute: 1e-3 * largest(given.inputGradient.values) });
  } finally {
    await model.release();
  }
}

const largest = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
