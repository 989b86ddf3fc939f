import { pgd } from "@parapet/attacks";
import {
  createRng,
  crossEntropy,
  type DifferentiableClassifier,
  type NdArray,
  ndArray,
  untargeted,
} from "@parapet/core";
import { denseModel } from "./dense.ts";

/** Pictures of 6 x 6: each class has a smooth pattern of its own, each picture noise on it. */
export const side = 6;

export function pictures(seed: number, n: number): { readonly x: NdArray; readonly labels: Int32Array } {
  const rng = createRng("toy").derive(seed);
  const x = new Float32Array(n * side * side);
  const labels = Int32Array.from({ length: n }, (_, i) => i % 3);
  labels.forEach((label, i) => {
    for (let a = 0; a < side; a++) {
      for (let b = 0; b < side; b++) {
        const wave = Math.sin(0.9 * (label + 1) * a + 1.3 * label) * Math.cos(0.7 * (label + 1) * b);
        const value = 0.5 + 0.3 * wave + 0.12 * rng.normal();
        x[(i * side + a) * side + b] = Math.max(0, Math.min(1, value));
      }
    }
  });
  return { x: ndArray(x, [n, side, side]), labels };
}

const hidden = 24;
const classes = 3;

/**
 * A small network trained on them, in the usual way or on what PGD makes of them within a radius that grows to `hardened`.
 * Weights are changed in place, in plain loops: training takes a fraction of a second.
 */
export async function trained(
  seed: number,
  { hardened = 0, steps = 250 }: { readonly hardened?: number; readonly steps?: number } = {},
): Promise<DifferentiableClassifier> {
  const rng = createRng(seed);
  const normal = (count: number, inputs: number) =>
    Float32Array.from({ length: count }, () => rng.normal() * Math.sqrt(2 / inputs));
  const width = side * side;
  const W1 = normal(hidden * width, width);
  const b1 = new Float32Array(hidden).fill(0.1);
  const W2 = normal(classes * hidden, hidden);
  const b2 = new Float32Array(classes);
  const model: DifferentiableClassifier = {
    ...denseModel([
      { weight: W1, bias: b1 },
      { weight: W2, bias: b2 },
    ]),
    inputShape: [side, side],
  };
  for (let step = 0; step < steps; step++) {
    const { x, labels } = pictures(1000 * (seed + 1) + step, 24);
    const epsilon = hardened * Math.min(1, (2 * step) / steps);
    const points =
      epsilon > 0 ? (await pgd({ epsilon, steps: 4 })(model, x, untargeted(labels), { rng })).adversarial : x;
    const loss = crossEntropy(labels);
    const { data: cotangent } = loss.cotangent(await model.logits(points));
    const rate = (0.2 * (1 - step / steps)) / labels.length;
    const old = W2.slice();
    for (let i = 0; i < labels.length; i++) {
      for (let u = 0; u < hidden; u++) {
        let value = b1[u]!;
        for (let j = 0; j < width; j++) value += W1[u * width + j]! * points.data[i * width + j]!;
        if (value <= 0) continue;
        let back = 0;
        for (let k = 0; k < classes; k++) {
          back += old[k * hidden + u]! * cotangent[i * classes + k]!;
          W2[k * hidden + u]! -= rate * value * cotangent[i * classes + k]!;
        }
        b1[u]! -= rate * back;
        for (let j = 0; j < width; j++) W1[u * width + j]! -= rate * back * points.data[i * width + j]!;
      }
      for (let k = 0; k < classes; k++) b2[k]! -= rate * cotangent[i * classes + k]!;
    }
  }
  return model;
}
