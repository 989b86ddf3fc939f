import { type Attack, checkNorm, checkNumber, expected, type Labeler, type Norm } from "@parapet/core";
import { cosineBasis } from "./shared/cosine-basis.ts";
import { borderNormal, fillNormal, toUnit } from "./shared/gradient-estimates.ts";
import { checkBudget, confine, exampleOf, interview, type Script } from "./shared/questions.ts";
import { Nearest, openRun, type Run } from "./shared/run.ts";
import { borderStart, checkStarts, gapOf, type StartOptions, toBorder } from "./shared/starting-points.ts";

/** Options of `geoda`. */
export interface GeodaOptions extends StartOptions {
  /** What the distance is measured in; default "l2". */
  readonly norm?: Norm;
  /** What lies farther from the example does not count; >= 0, default infinity. */
  readonly epsilon?: number;
  /** Most queries for each example; default 4,000. */
  readonly queries?: number;
  /**
   * Draw directions from that many lowest vertical and horizontal frequencies only, of each channel; >= 1. For inputs that
   * are images. Default: all directions.
   */
  readonly subspace?: number;
  /** By which factor the error shrinks from one estimate to the next, in (0, 1); default 0.6. */
  readonly shrinking?: number;
  /** How far from the border directions are tried, as a share of the distance, > 0; default 0.01. */
  readonly radius?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * GeoDA: takes the border for a plane, estimates its normal w from labels, and goes from the example to the plane by the
 * shortest way: along `w / ||w||` (l2), `sign(w)` (linf), or along the largest entries of w, each as far as its bound (l1).
 * Where that way meets the border the next, better estimate is made: estimate t gets `shrinking^(-2 t / 3)` times the
 * queries of the first.
 *
 * @param options - norm, budget, subspace, starts
 * @returns an attack on models that answer with a class; the smallest distance seen within `queries` queries, the search for
 *   a start included. Where no start is found, that example fails
 * @throws RangeError or TypeError when an option is out of range, `starts` do not fit the model, or `subspace` is given for
 *   inputs that are no image
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { geoda } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const attack = geoda({ norm: "linf", queries: 2000 });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! >= 0.3692 && distance.data[0]! < 0.373); // => true
 * ```
 *
 * Source: A. Rahmati et al., "GeoDA: A Geometric Framework for Black-Box Adversarial Attacks", 2020,
 * https://arxiv.org/abs/2003.06468, algorithms 1 to 3. Differences from the paper: an estimate is carried on into the next
 * one; the mean of the signs is subtracted; the border is searched to 1/1000 of the distance.
 */
export function geoda(options: GeodaOptions = {}): Attack<Labeler> {
  const { epsilon, queries = 4000, shrinking = 0.6, radius = 0.01, subspace, batchSize = 128 } = options;
  const norm = checkNorm(options.norm ?? "l2");
  checkBudget({ epsilon, queries, batchSize, startDraws: options.startDraws });
  checkNumber("shrinking", shrinking, { above: 0, below: 1 });
  checkNumber("radius", radius, { above: 0 });
  if (subspace !== undefined) checkNumber("subspace", subspace, { min: 1, integer: true });

  return async (model, input, goal, context) => {
    const run = openRun("geoda", model, input, goal, context);
    checkStarts(run, options.starts);
    const basis = subspace === undefined ? undefined : cosineBasis(model.inputShape);
    if (subspace !== undefined && basis === undefined) {
      throw new TypeError(expected("subspace", "inputs that are images", model.inputShape));
    }
    const nearest = new Nearest(run, norm, epsilon);
    const tolerance = Math.min(0.001, radius / 10);
    const search = Math.ceil(Math.log2(1 / tolerance)) + 2;

    function* script(row: number): Script {
      const start = yield* borderStart(run, row, norm, options);
      if (start === undefined) return;
      let point = yield* toBorder(run, row, "l2", start, tolerance);
      const rng = run.rng(row, "directions");
      const amounts = new Float32Array(basis === undefined ? 0 : basis.channels * subspace! ** 2);
      const fill = (out: Float32Array): void => {
        fillNormal(rng, basis === undefined ? out : amounts);
        if (basis === undefined) return;
        out.fill(0);
        const [rows, columns] = [Math.min(subspace!, basis.height), Math.min(subspace!, basis.width)];
        for (let at = 0, channel = 0; channel < basis.channels; channel++) {
          for (let u = 0; u < rows; u++)
            for (let v = 0; v < columns; v++) basis.add(out, u, v, channel, amounts[at++]!);
        }
      };
      const normal = new Float64Array(run.width);
      for (const planned of plan(queries - run.queries[row]!, search, shrinking)) {
        const count = Math.min(planned, queries - run.queries[row]! - search);
        if (count < 4) return;
        const estimate = yield* borderNormal(run, row, point, radius * gapOf(run, row, point, "l2"), count, fill);
        for (let j = 0; j < run.width; j++) normal[j] = count * estimate[j]! + CARRIED * normal[j]!;
        const way = wayTo(run, row, norm, toUnit(run, row, Float32Array.from(normal)));
        let outside = gapOf(run, row, point, norm);
        let candidate = way(outside);
        while ((yield candidate).reached[0] === 0 && outside < way.end) {
          outside *= 1.5;
          candidate = way(outside);
        }
        let inside = 0;
        let found: Float32Array | undefined;
        while (outside - inside > tolerance * outside) {
          const middle = (inside + outside) / 2;
          candidate = way(middle);
          if ((yield candidate).reached[0] === 1) {
            outside = middle;
            found = candidate;
          } else inside = middle;
        }
        if (found !== undefined) point = found;
      }
    }
    await interview(run, { queries, batchSize, nearest, script });
    return nearest.result();
  };
}

/** The weight of what was estimated before. */
const CARRIED = 0.5;

/** Queries for each estimate: the first gets 50 to 80, each next one more, until the budget is spent. */
function plan(budget: number, search: number, shrinking: number): number[] {
  const factor = shrinking ** (-2 / 3);
  let best = [budget];
  for (let rounds = 1; rounds < 64; rounds++) {
    const sum = (factor ** rounds - 1) / (factor - 1);
    const first = (budget - rounds * search) / sum;
    if (first < 50 && rounds > 1) break;
    best = Array.from({ length: rounds }, (_, i) => Math.floor(first * factor ** i));
  }
  return best;
}

/** The shortest way from the example to planes with a normal: the point at a length along it, and the longest that helps. */
function wayTo(run: Run<Labeler>, row: number, norm: Norm, normal: Float32Array) {
  const { lower, upper } = run;
  const example = exampleOf(run, row);
  const room = (j: number) => (normal[j]! > 0 ? upper[j]! - example[j]! : example[j]! - lower[j]!);
  const order = Array.from(normal.keys()).filter((j) => normal[j] !== 0 && room(j) > 0);
  if (norm === "l1") order.sort((a, b) => Math.abs(normal[b]!) - Math.abs(normal[a]!));
  let end = 0;
  for (const j of order) {
    if (norm === "l1") end += room(j);
    else end = Math.max(end, room(j) / (norm === "linf" ? 1 : Math.abs(normal[j]!)));
  }
  const way = (length: number): Float32Array => {
    const point = example.slice();
    let left = length;
    for (const j of order) {
      const step = norm === "l1" ? Math.min(left, room(j)) : length * (norm === "linf" ? 1 : Math.abs(normal[j]!));
      point[j] = example[j]! + Math.sign(normal[j]!) * step;
      left -= step;
      if (norm === "l1" && left <= 0) break;
    }
    return confine(run, row, point);
  };
  return Object.assign(way, { end });
}
