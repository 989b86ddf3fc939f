import { type Attack, type Classifier, checkNumber, type Rng } from "@parapet/core";
import { checkBudget, confine, exampleOf, interview, type Script } from "./shared/questions.ts";
import { Nearest, openRun } from "./shared/run.ts";

/** Options of `onePixel`. */
export interface OnePixelOptions {
  /** Pixels that may change, >= 0; default 1. With three axes a pixel is all channels of a place. */
  readonly pixels?: number;
  /** Most queries for each example; default 10,000. */
  readonly queries?: number;
  /** Candidates in a generation, >= 4; default 100. */
  readonly population?: number;
  /** Weight of the difference of two candidates, > 0; default 0.5. */
  readonly weight?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * The one-pixel attack: differential evolution over the places and values of a few pixels, from scores only; l0. A child is
 * `a + weight (b - c)` of three random candidates, and takes its parent's place where the goal's loss is larger.
 *
 * @param options - pixels, budget, population
 * @returns an attack on models with scores; an example is left at its first success, after at most `queries` queries. The
 *   distance is the number of features that changed
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { onePixel } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const model = affineModel({ ...researchWeights, bounds: { lower: -1, upper: 2 } });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { success, distance } = await onePixel()(model, x, untargeted([0]), { rng: createRng(0) });
 * console.log(success.data[0], distance.data[0]); // => 1 1
 * ```
 *
 * Source: J. Su, D. Vargas and K. Sakurai, "One Pixel Attack for Fooling Deep Neural Networks", 2019,
 * https://arxiv.org/abs/1710.08864, section III. Differences from the paper: the goal's loss instead of the probability; 100
 * candidates instead of 400; values begin uniform in the bounds, one half of them at a bound; places outside come in at the
 * other side. Features without finite bounds are drawn within 1 of the example's.
 */
export function onePixel(options: OnePixelOptions = {}): Attack<Classifier> {
  const { pixels = 1, queries = 10_000, population = 100, weight = 0.5, batchSize = 128 } = options;
  checkNumber("pixels", pixels, { min: 0, integer: true });
  checkBudget({ queries, batchSize });
  checkNumber("population", population, { min: 4, integer: true });
  checkNumber("weight", weight, { above: 0 });

  return async (model, input, goal, context) => {
    const run = openRun("onePixel", model, input, goal, context);
    const nearest = new Nearest(run, "l0");
    const { width, lower, upper } = run;
    const { places, channels, place } = pixelsOf(model.inputShape, width);
    const size = places.length + channels;
    const finite = (j: number) => Number.isFinite(upper[j]! - lower[j]!);
    const low = (j: number, x: Float32Array) => (finite(j) ? lower[j]! : x[j]! - 1);
    const high = (j: number, x: Float32Array) => (finite(j) ? upper[j]! : x[j]! + 1);

    function* script(row: number): Script {
      if (pixels === 0) return;
      const rng = run.rng(row);
      const example = exampleOf(run, row);
      /** A candidate: for each pixel, where it is as shares of the axes, and its values as shares of the bounds. */
      const draw = (kind: number): number => (kind < places.length || rng.next() < 0.5 ? rng.next() : rng.integer(2));
      const painted = (genes: Float64Array, out: Float32Array): void => {
        out.set(example);
        for (let p = 0; p < pixels; p++) {
          const at = place(genes, p * size);
          for (let c = 0; c < channels; c++) {
            const j = at.first + c * at.apart;
            const share = genes[p * size + places.length + c]!;
            out[j] = low(j, example) + share * (high(j, example) - low(j, example));
          }
        }
      };
      const genes: Float64Array[] = Array.from({ length: population }, () =>
        Float64Array.from({ length: pixels * size }, (_, i) => draw(i % size)),
      );
      let values: Float32Array | undefined;
      for (let generation = 0; ; generation++) {
        const children =
          generation === 0 ? genes : genes.map((_, i) => child(genes, i, weight, rng, size, places.length));
        const points = new Float32Array(population * width);
        for (const [i, some] of children.entries()) painted(some, points.subarray(i * width, (i + 1) * width));
        const { reached, value } = yield confine(run, row, points);
        if (reached.includes(1)) return;
        const before: Float32Array | undefined = values;
        values = value.slice();
        if (before === undefined) continue;
        for (let i = 0; i < population; i++) {
          if (value[i]! > before[i]!) genes[i] = children[i]!;
          else values[i] = before[i]!;
        }
      }
    }
    await interview(run, { queries, batchSize, nearest, script, loss: goal.loss });
    return nearest.result();
  };
}

/** A child of three candidates other than `i`; places go round, values stop at the bounds. */
function child(
  genes: readonly Float64Array[],
  i: number,
  weight: number,
  rng: Rng,
  size: number,
  places: number,
): Float64Array {
  const [a, b, c] = distinct(genes.length, i, rng);
  return Float64Array.from(genes[a]!, (gene, at) => {
    const value = gene + weight * (genes[b]![at]! - genes[c]![at]!);
    return at % size < places ? value - Math.floor(value) : Math.max(0, Math.min(1, value));
  });
}

function distinct(n: number, except: number, rng: Rng): [number, number, number] {
  const drawn: number[] = [];
  while (drawn.length < 3) {
    const next = rng.integer(n);
    if (next !== except && !drawn.includes(next)) drawn.push(next);
  }
  return drawn as [number, number, number];
}

/** How places are named: by axes of the image; and the features of the pixel that genes name. */
function pixelsOf(shape: readonly number[], width: number) {
  const [a = 1, b = 1, c = 1] = shape;
  let places = [width];
  let channels = 1;
  let [across, apart] = [1, 1];
  if (shape.length === 2) places = [a, b];
  else if (shape.length === 3 && (c <= 4 || a > 4)) [places, channels, across, apart] = [[a, b], c, c, 1];
  else if (shape.length === 3) [places, channels, across, apart] = [[b, c], a, 1, b * c];
  const place = (genes: Float64Array, from: number) => {
    let at = 0;
    places.forEach((length, axis) => {
      at = at * length + Math.min(length - 1, Math.floor(genes[from + axis]! * length));
    });
    return { first: at * across, apart };
  };
  return { places, channels, place };
}
