import { type Attack, checkNumber, createPacer, expected, type Labeler, type NdArray, type Rng } from "@parapet/core";
import { type ImageLayout, imageGeometry, similarity, warp } from "./shared/image.ts";
import { Nearest, openRun, range } from "./shared/run.ts";

/** Options of `spatial`. */
export interface SpatialOptions {
  /** Largest rotation either way, in degrees; default 30. */
  readonly rotation?: number;
  /** Largest move along each axis, in pixels (fractions allowed); default 3. */
  readonly translation?: number;
  /** Try a grid: how many angles, and how many moves along each axis. Default 31 angles and 5 moves: 775 points. */
  readonly grid?: { readonly rotations: number; readonly translations: number };
  /** Try this many random rotations and moves instead of a grid: worst of k. */
  readonly random?: number;
  /** Where the channels are; guessed from the shape by default (last if the last axis has 1, 3 or 4, else first). */
  readonly layout?: ImageLayout;
  /** Images in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/** A rotation about the image's middle, in degrees counter-clockwise, and then a move in pixels. */
interface Pose {
  readonly degrees: number;
  readonly down: number;
  readonly right: number;
}

/**
 * Rotates and moves images until the model errs; it need only answer with a class.
 *
 * The image itself is tried first, then the poses of a grid or of random draws, the smallest first (by
 * `(degrees / rotation)^2 + (down / translation)^2 + (right / translation)^2`), and the first success is the result. Pixels
 * are read by bilinear interpolation, those from outside are the lower bound. `distance` is the l2 distance between the
 * images, which says little: a small move is far in every norm. Where nothing succeeds the image comes back.
 *
 * @param options - the largest rotation and move, and what is tried
 * @returns an attack on anything that classifies images; `1 + rotations * translations^2` or `1 + random` queries at most
 * @throws RangeError or TypeError when an option is out of range; on use, when the inputs are no images
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { spatial } from "@parapet/attacks";
 * import { affineModel } from "@parapet/testing";
 * // Class 1 where the left column is brighter than the right one: not so after a quarter turn.
 * const model = affineModel({ weights: [[0, 0, 0, 0], [1, -1, 1, -1]], inputShape: [2, 2] });
 * const x = ndArray([1, 0, 1, 0], [1, 2, 2]);
 * const attack = spatial({ rotation: 180, translation: 0, grid: { rotations: 5, translations: 1 } });
 * const { success, adversarial } = await attack(model, x, untargeted([1]), { rng: createRng(0) });
 * console.log(success.data[0], adversarial.data.join(" ")); // => 1 1 1 0 0
 * ```
 *
 * Source: L. Engstrom et al., "Exploring the Landscape of Spatial Robustness", 2019, https://arxiv.org/abs/1712.02779,
 * section 3 (grid search and worst-of-k; 31 angles, 5 moves, 30 degrees, 3 pixels). Differences from the paper: the first
 * success counts, not the highest loss, so that a class is enough; the first-order method, weaker in the paper, is left out.
 */
export function spatial(options: SpatialOptions = {}): Attack<Labeler> {
  const { rotation = 30, translation = 3, grid, random, layout, batchSize = 128 } = options;
  checkNumber("rotation", rotation, { min: 0, max: 180 });
  checkNumber("translation", translation, { min: 0 });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  if (grid !== undefined && random !== undefined) {
    throw new TypeError(expected("grid", "none where random is given", grid));
  }
  if (random !== undefined) checkNumber("random", random, { min: 1, integer: true });
  const { rotations = 31, translations = 5 } = grid ?? {};
  checkNumber("grid.rotations", rotations, { min: 1, integer: true });
  checkNumber("grid.translations", translations, { min: 1, integer: true });
  const share = (value: number, most: number) => (most === 0 ? 0 : (value / most) ** 2);
  const ordered = (poses: Pose[]): readonly Pose[] => {
    const size = ({ degrees, down, right }: Pose) =>
      share(degrees, rotation) + share(down, translation) + share(right, translation);
    return poses.sort((a, b) => size(a) - size(b));
  };
  const fixed = random === undefined ? ordered(gridOf(rotation, rotations, translation, translations)) : undefined;
  const drawn = (rng: Rng): readonly Pose[] => {
    const either = (most: number) => most * (2 * rng.next() - 1);
    const draw = () => ({ degrees: either(rotation), down: either(translation), right: either(translation) });
    return ordered(Array.from({ length: random ?? 0 }, draw));
  };

  return async (model, input, goal, context) => {
    const run = openRun("spatial", model, input, goal, context);
    const { x, n, width, lower } = run;
    const image = imageGeometry(model.inputShape, layout);
    const nearest = new Nearest(run, "l2");
    const pace = createPacer(run.signal);
    const tries = 1 + (fixed?.length ?? random!);
    for (let from = 0; from < n; from += batchSize) {
      const all = range(from, Math.min(n, from + batchSize));
      const poses = Array.from(all, (row) => fixed ?? drawn(run.rng(row)));
      let open = range(0, all.length);
      for (let at = 0; at < tries && open.length > 0; at++) {
        await pace();
        const rows = open.map((i) => all[i]!);
        const data = new Float32Array(rows.length * width);
        rows.forEach((row, i) => {
          const source = x.data.subarray(row * width, (row + 1) * width);
          const target = data.subarray(i * width, (i + 1) * width);
          // The first try is the image itself: what is wrong already needs no pose.
          if (at === 0) target.set(source);
          else warp(source, target, image, similarity(image, poses[open[i]!]![at - 1]!), (feature) => lower[feature]!);
        });
        const points: NdArray =
          at === 0 ? { ...x, shape: [rows.length, ...x.shape.slice(1)], data } : run.allow(data, rows);
        const reached = goal.take(rows).isReached(await run.labels(points, rows)).data;
        rows.forEach((row, i) => {
          if (reached[i] === 1) nearest.offer(row, points, i);
        });
        open = open.filter((_, i) => reached[i] === 0);
        run.progress(from * tries + all.length * (at + 1), n * tries);
      }
      run.progress((from + all.length) * tries, n * tries);
    }
    return nearest.result();
  };
}

/** Evenly spaced angles and moves, the ends included. */
function gridOf(rotation: number, rotations: number, translation: number, translations: number): Pose[] {
  const even = (most: number, count: number) =>
    Array.from({ length: count }, (_, i) => (count === 1 ? 0 : -most + (2 * most * i) / (count - 1)));
  const moves = even(translation, translations);
  return even(rotation, rotations).flatMap((degrees) =>
    moves.flatMap((down) => moves.map((right) => ({ degrees, down, right }))),
  );
}
