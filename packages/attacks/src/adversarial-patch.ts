import {
  type AttackContext,
  type AttackResult,
  boundsOf,
  checkInput,
  checkNumber,
  createPacer,
  type DifferentiableClassifier,
  exampleKeys,
  expected,
  type Goal,
  type Labeler,
  type NdArray,
  type Rng,
  sizeOf,
} from "@parapet/core";
import { type ImageGeometry, type ImageLayout, imageGeometry } from "./shared/image.ts";
import { openRun } from "./shared/run.ts";
import { firstStep, judge, minibatches } from "./shared/shared-perturbation.ts";

/** How a patch lies on an image. */
export interface PatchPlacement {
  /** A place for the patch's upper left corner, or anywhere inside the image ("random", the default). */
  readonly placement?: "random" | { readonly row: number; readonly column: number };
  /** Largest rotation either way about its own middle, in degrees; default 22.5. */
  readonly rotation?: number;
  /** Default "square" (any rectangle); "circle" leaves the corners free. */
  readonly shape?: "square" | "circle";
  /** Where the channels are; guessed from the shape by default (last if the last axis has 1, 3 or 4, else first). */
  readonly layout?: ImageLayout;
}

/** Options of `adversarialPatch`. */
export interface AdversarialPatchOptions extends PatchPlacement {
  /** Pixels along each side, or height and width. */
  readonly size: number | { readonly height: number; readonly width: number };
  /** Number of steps, each on one minibatch; default 200. */
  readonly steps?: number;
  /** Length of the first step, as a share of the bounds' width; the others shrink evenly to 0. Default 5 / (steps + 1). */
  readonly stepSize?: number;
  /** Examples that decide a step, drawn without repeats until all had their turn; default 128. It matters to the result. */
  readonly minibatch?: number;
  /** Examples in one call of the last look; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/** What `adversarialPatch` gives: the result for the examples that it was fitted to, and what it fitted. */
export interface AdversarialPatchResult extends AttackResult {
  /** The patch, in the images' layout; for other images see `applyPatch`. */
  readonly patch: NdArray;
}

/**
 * Fits one patch that works wherever it is stuck on an image: ascent of the expected loss over examples, places and
 * angles by steps of the gradient's sign. Untargeted goals make a patch that hides what is there, a target one that looks
 * like something else.
 *
 * Every step draws a new place and angle for each example of its minibatch; the last look, which decides on `success`,
 * draws once more. Where the patch fails but the image alone reaches the goal, the image is the result. By its nature an
 * example's result depends on the others the patch was fitted with (but not on their order). `distance` counts the values
 * that changed (l0).
 *
 * @param options - the patch's size, where it may lie, steps
 * @returns an attack on image classifiers with gradients whose result also holds the patch; `steps * minibatch` gradients
 *   in all, and 1 or 2 queries more an example
 * @throws RangeError or TypeError when an option is out of range; on use, when the patch is larger than the image
 *
 * @example
 * ```ts
 * import { createRng, ndArray, targeted } from "@parapet/core";
 * import { adversarialPatch } from "@parapet/attacks";
 * import { affineModel } from "@parapet/testing";
 * // Class 1 is a bright image.
 * const model = affineModel({ weights: [new Array(16).fill(0), new Array(16).fill(1)], bias: [2, 0], inputShape: [4, 4] });
 * const x = ndArray(new Float32Array(32), [2, 4, 4]);
 * const attack = adversarialPatch({ size: 2, rotation: 0 });
 * const { patch, success, distance } = await attack(model, x, targeted([1, 1]), { rng: createRng(0) });
 * console.log(patch.data.join(" "), success.data.join(" "), distance.data[0]); // => 1 1 1 1 1 1 4
 * ```
 *
 * Source: T. Brown et al., "Adversarial Patch", 2017, https://arxiv.org/abs/1712.09665, section 2, equation 1. Differences
 * from the paper: steps of the sign, which shrink, in place of an unnamed optimizer; untargeted goals too; no scaling; a
 * turned patch is read at its nearest pixel.
 */
export function adversarialPatch(
  options: AdversarialPatchOptions,
): (
  model: DifferentiableClassifier,
  x: NdArray,
  goal: Goal,
  context: AttackContext,
) => Promise<AdversarialPatchResult> {
  const { size, steps = 200, minibatch = 128, batchSize = 128 } = options;
  const [height, width] = typeof size === "object" ? [size?.height, size?.width] : [size, size];
  checkNumber("size", height, { min: 1, integer: true });
  checkNumber("size", width, { min: 1, integer: true });
  checkNumber("steps", steps, { min: 1, integer: true });
  const { stepSize = firstStep(1, steps) } = options;
  checkNumber("stepSize", stepSize, { min: 0 });
  checkNumber("minibatch", minibatch, { min: 1, integer: true });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  checkPlacement(options);

  return async (model, input, goal, context) => {
    const run = openRun("adversarialPatch", model, input, goal, context);
    const { x, n } = run;
    const image = imageGeometry(model.inputShape, options.layout);
    const shape = model.inputShape.map((length, axis) =>
      axis === image.rowAxis ? height! : axis === image.rowAxis + 1 ? width! : length,
    );
    const own = imageGeometry(shape, image.rowAxis === 1 ? "channels-first" : "channels-last");
    const place = placing(image, own, options);
    // A patch may have the values that some place in its channel may have.
    const lowest = new Float32Array(image.channels).fill(Number.POSITIVE_INFINITY);
    const highest = new Float32Array(image.channels).fill(Number.NEGATIVE_INFINITY);
    for (let j = 0; j < run.width; j++) {
      const channel = channelOf(image, j);
      lowest[channel] = Math.min(lowest[channel]!, run.lower[j]!);
      highest[channel] = Math.max(highest[channel]!, run.upper[j]!);
    }
    const low = Float32Array.from({ length: sizeOf(shape) }, (_, at) => lowest[channelOf(own, at)]!);
    const high = low.map((_, at) => highest[channelOf(own, at)]!);
    const patch = low.map((value, at) => (value + high[at]!) / 2);
    const draws = new Map<number, Rng>();
    const pace = createPacer(run.signal);
    const total = steps + n;

    /** The rows with the patch on, and for each feature which of the patch's it shows, -1 for none. */
    const stuck = (rows: Int32Array, rngOf: (row: number) => Rng) => {
      const data = new Float32Array(rows.length * run.width);
      const maps = Array.from(rows, (row, i) => {
        data.set(x.data.subarray(row * run.width, (row + 1) * run.width), i * run.width);
        const map = place(rngOf(row));
        for (let j = 0; j < run.width; j++) if (map[j]! >= 0) data[i * run.width + j] = patch[map[j]!]!;
        return map;
      });
      return { points: run.allow(data, rows), maps };
    };
    const rngOf = (row: number) => {
      if (!draws.has(row)) draws.set(row, run.rng(row, "places"));
      return draws.get(row)!;
    };

    const batches = minibatches(run, minibatch);
    for (let step = 0; step < steps; step++) {
      await pace();
      const rows = batches.next().value;
      const { points, maps } = stuck(rows, rngOf);
      const { gradient } = await run.gradient(points, rows, goal.take(rows).loss, step + 1);
      const sum = new Float64Array(patch.length);
      rows.forEach((row, i) => {
        const map = maps[i]!;
        for (let j = 0; j < run.width; j++) {
          const g = gradient.data[i * run.width + j]!;
          if (map[j]! >= 0 && Number.isFinite(g) && run.free(row * run.width + j)) sum[map[j]!]! += g;
        }
      });
      for (let at = 0; at < patch.length; at++) {
        const move = stepSize * (1 - step / steps) * (high[at]! - low[at]!) * Math.sign(sum[at]!);
        patch[at] = Math.max(low[at]!, Math.min(high[at]!, patch[at]! + move));
      }
      run.progress(step + 1, total);
    }
    const last = (rows: Int32Array) => stuck(rows, (row) => run.rng(row, "last look")).points;
    const result = await judge(run, goal, last, "l0", batchSize, (done) => run.progress(steps + done, total));
    return { ...result, patch: { dtype: "float32", shape, data: patch } };
  };
}

/**
 * Sticks a patch on images, each at a place and angle of its own.
 *
 * @param model - whose inputs they are
 * @param x - images, shape `[n, ...inputShape]`
 * @param patch - in the same layout, with other height and width
 * @param options - where it may lie, and `rng`, from which places are drawn; they depend on the image, not on the batch
 * @returns the images with the patch, inside the bounds, in the shape of x
 * @throws TypeError or RangeError when x is no input of the model's, or the patch does not fit
 *
 * @example
 * ```ts
 * import { createRng, ndArray } from "@parapet/core";
 * import { applyPatch } from "@parapet/attacks";
 * const model = { inputShape: [2, 2], bounds: { lower: 0, upper: 1 } };
 * const options = { placement: { row: 1, column: 0 }, rotation: 0, rng: createRng(0) };
 * const x = applyPatch(model, ndArray([0, 0, 0, 0], [1, 2, 2]), ndArray([0.5, 1], [1, 2]), options);
 * console.log(x.data.join(" ")); // => 0 0 0.5 1
 * ```
 */
export function applyPatch(
  model: Pick<Labeler, "inputShape" | "bounds">,
  x: NdArray,
  patch: NdArray,
  options: PatchPlacement & { readonly rng: Rng },
): NdArray {
  const images = checkInput(model, x);
  checkPlacement(options);
  if (typeof options.rng?.derive !== "function") {
    throw new TypeError(expected("rng", "an Rng, such as createRng(seed)", options.rng));
  }
  const image = imageGeometry(model.inputShape, options.layout);
  const fits =
    patch.shape.length === model.inputShape.length &&
    patch.shape.every((length, i) => i === image.rowAxis || i === image.rowAxis + 1 || length === model.inputShape[i]);
  if (!fits) throw new TypeError(expected("patch", `an image like [${model.inputShape.join(", ")}]`, patch.shape));
  const own = imageGeometry(patch.shape, image.rowAxis === 1 ? "channels-first" : "channels-last");
  const place = placing(image, own, options);
  const width = sizeOf(model.inputShape);
  const { lower, upper } = boundsOf(model.bounds, width);
  const keys = exampleKeys(images, new Int32Array(images.shape[0]!));
  const data = images.data.slice();
  keys.forEach((key, i) => {
    const map = place(options.rng.derive("applyPatch").derive(key));
    for (let j = 0; j < width; j++) {
      if (map[j]! >= 0) data[i * width + j] = Math.max(lower[j]!, Math.min(upper[j]!, patch.data[map[j]!]!));
    }
  });
  return { dtype: "float32", shape: [...images.shape], data };
}

function checkPlacement({ placement = "random", rotation = 22.5, shape = "square" }: PatchPlacement): void {
  checkNumber("rotation", rotation, { min: 0, max: 180 });
  if (shape !== "square" && shape !== "circle") throw new TypeError(expected("shape", '"square" or "circle"', shape));
  if (placement === "random") return;
  checkNumber("placement.row", placement?.row, { min: 0, integer: true });
  checkNumber("placement.column", placement?.column, { min: 0, integer: true });
}

/** Draws places: for each feature of the image, which of the patch's it shows, or -1. */
function placing(image: ImageGeometry, patch: ImageGeometry, options: PatchPlacement): (rng: Rng) => Int32Array {
  const { placement = "random", rotation = 22.5, shape = "square" } = options;
  const [rows, columns] = [image.height - patch.height, image.width - patch.width];
  const { row: fixedRow, column: fixedColumn } = placement === "random" ? { row: 0, column: 0 } : placement;
  if (fixedRow > rows || fixedColumn > columns) {
    const room = `at most ${image.height - fixedRow} x ${image.width - fixedColumn} pixels`;
    throw new RangeError(expected("size", room, [patch.height, patch.width]));
  }
  const [middleY, middleX] = [(patch.height - 1) / 2, (patch.width - 1) / 2];
  const reach = Math.hypot(patch.height, patch.width) / 2;
  const within = (middle: number, far: number, length: number) =>
    [Math.max(0, Math.floor(middle - far)), Math.min(length - 1, Math.ceil(middle + far))] as const;
  return (rng) => {
    const angle = ((2 * rng.next() - 1) * rotation * Math.PI) / 180;
    const [drawnRow, drawnColumn] = [rng.integer(rows + 1), rng.integer(columns + 1)];
    const [top, left] = placement === "random" ? [drawnRow, drawnColumn] : [fixedRow, fixedColumn];
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    const map = new Int32Array(image.height * image.width * image.channels).fill(-1);
    const [fromRow, toRow] = within(top + middleY, reach, image.height);
    const [fromColumn, toColumn] = within(left + middleX, reach, image.width);
    for (let row = fromRow; row <= toRow; row++) {
      for (let column = fromColumn; column <= toColumn; column++) {
        const [y, x] = [row - top - middleY, column - left - middleX];
        const [fromY, fromX] = [cos * y + sin * x, cos * x - sin * y];
        if (shape === "circle" && (fromY / (middleY + 0.5)) ** 2 + (fromX / (middleX + 0.5)) ** 2 > 1) continue;
        const [r, c] = [Math.round(fromY + middleY), Math.round(fromX + middleX)];
        if (r < 0 || r >= patch.height || c < 0 || c >= patch.width) continue;
        for (let channel = 0; channel < image.channels; channel++) {
          map[row * image.rowStride + column * image.columnStride + channel * image.channelStride] =
            r * patch.rowStride + c * patch.columnStride + channel * patch.channelStride;
        }
      }
    }
    return map;
  };
}

function channelOf(image: ImageGeometry, feature: number): number {
  return image.rowAxis === 1 ? Math.floor(feature / image.channelStride) : feature % image.channels;
}
