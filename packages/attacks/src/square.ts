import {
  type Attack,
  type Classifier,
  checkNorm,
  checkNumber,
  createPacer,
  crossEntropy,
  expected,
  type Goal,
  type Loss,
  margin,
  type Norm,
  type Rng,
  weightedSum,
} from "@parapet/core";
import type { ImageLayout } from "./shared/image.ts";
import { chunksOf, confirmed, firstLook, freeOf, keepRows, pointsOf } from "./shared/rows.ts";
import { openRun, type Run, range } from "./shared/run.ts";
import { type Moves, movesOf } from "./shared/square-moves.ts";
import { imageGrid } from "./shared/square-windows.ts";
import { Findings } from "./shared/threat-model.ts";

/** Options of `square`. */
export interface SquareOptions {
  /** Radius of the ball, in the units of the model's inputs; >= 0. */
  readonly epsilon: number;
  /** Default "linf". */
  readonly norm?: Norm;
  /** Changes that are tried for each example and restart, one query each; default 5000. */
  readonly queries?: number;
  /** Runs from different starts, for the examples that held so far; default 1. */
  readonly restarts?: number;
  /** The share of the image that the first windows cover, in (0, 1]; default 0.8. */
  readonly p?: number;
  /** Whether the windows' schedule, made for 10,000 queries, is squeezed into `queries`. Default true. */
  readonly rescale?: boolean;
  /**
   * Where an input of three axes has its channels; default: first where the first axis has at most 4 entries and the last
   * has more, else last. Two axes are an image of one channel, any other number of axes is read as one line of features.
   */
  readonly layout?: ImageLayout;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * Square Attack: random search without gradients. It begins with vertical stripes of `+-epsilon` (linf) or with a grid of
 * small bumps (l2, l1), then changes one square window at a time, at a random place, and keeps what lowers the loss. The
 * side of a window is `sqrt(p height width)`, and p is halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of
 * 10,000 queries.
 *
 * linf: the window becomes `+-epsilon`, one sign a channel. l2, l1: a second window gives up its share of the perturbation
 * to the first, which gets a bump of two opposite halves.
 *
 * An untargeted goal lowers the margin `z_y - max_{j != y} z_j`, a targeted one the cross-entropy of the wanted class; the
 * goal's own loss is not used. An example is left as soon as it reaches its goal, or else comes back as the best point of
 * the search.
 *
 * @param options - ball, queries, starts
 * @returns an attack on models with scores; for each restart at most `queries + 2` queries an example (more where a
 *   randomised model changes its mind), one for the first look at it, and no gradients
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { square } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]); // the border lies at 0.3692 in linf
 * const attack = (epsilon: number) => square({ epsilon, queries: 100 });
 * const context = { rng: createRng(0) };
 * const near = await attack(0.369)(affineModel(researchWeights), x, untargeted([0]), context);
 * const far = await attack(0.37)(affineModel(researchWeights), x, untargeted([0]), context);
 * console.log(near.success.data[0], far.success.data[0]); // => 0 1
 * ```
 *
 * Source: M. Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search",
 * 2020, https://arxiv.org/abs/1912.00049, algorithms 1 to 3; l1: F. Croce and M. Hein, "Mind the Box", 2021,
 * https://arxiv.org/abs/2103.01208, section 5. Differences from the papers: every example draws its own windows; a window
 * may lie at the last row and column; a change that changes nothing is drawn again, at most 20 times, instead of costing a
 * query; inputs that are no images are searched with windows of neighbouring features.
 */
export function square(options: SquareOptions): Attack<Classifier> {
  const {
    epsilon,
    norm = "linf",
    queries = 5000,
    restarts = 1,
    p = 0.8,
    rescale = true,
    layout,
    batchSize = 128,
  } = options;
  checkNorm(norm);
  checkNumber("epsilon", epsilon, { min: 0 });
  checkNumber("queries", queries, { min: 1, integer: true });
  checkNumber("restarts", restarts, { min: 1, integer: true });
  checkNumber("p", p, { above: 0, max: 1 });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  if (layout !== undefined && layout !== "channels-first" && layout !== "channels-last") {
    throw new TypeError(expected("layout", '"channels-first" or "channels-last"', layout));
  }

  return async (model, input, goal, context) => {
    const run = openRun<Classifier>("square", model, input, goal, context);
    const { n, x } = run;
    const findings = new Findings(x);
    const look = await firstLook(run, batchSize);
    for (let row = 0; row < n; row++) if (look.reached[row] === 1) findings.offer(row, x, row, true, 0);

    const grid = imageGrid(model.inputShape, layout);
    const free = freeOf(run);
    const total = restarts * n * queries;
    for (let restart = 0; restart < restarts; restart++) {
      const open = range(0, n).filter((row) => findings.success[row] === 0);
      let done = (restart * n + n - open.length) * queries;
      for (const rows of chunksOf(open, batchSize)) {
        const begin = done;
        await search(run, rows, {
          moves: movesOf(run, norm, epsilon, grid, free),
          // Where there is no room at all, one look is all there is to do.
          queries: epsilon === 0 ? 0 : queries,
          share: (query) => squareShare(p, rescale ? Math.floor((query / queries) * 10000) : query),
          rng: (row) => run.rng(row, restart),
          salt: 1 + restart * (queries + 1),
          findings,
          progress: (query) => run.progress(begin + rows.length * query, total),
        });
        done += rows.length * queries;
      }
      run.progress((restart + 1) * n * queries, total);
    }
    return {
      ...findings.result(norm),
      queries: { dtype: "int32", shape: [n], data: run.queries },
      gradients: { dtype: "int32", shape: [n], data: run.gradients },
    };
  };
}

/**
 * The share of the image that a window covers at a query of 10,000.
 *
 * Source: https://arxiv.org/abs/1912.00049, section 4, with the authors' numbers.
 */
export function squareShare(p: number, query: number): number {
  return p / 2 ** [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000].filter((last) => query > last).length;
}

interface Search {
  readonly moves: Moves;
  readonly queries: number;
  readonly share: (query: number) => number;
  readonly rng: (row: number) => Rng;
  readonly salt: number;
  readonly findings: Findings;
  readonly progress: (query: number) => void;
}

/** One search from one start for the examples `rows`. */
async function search(run: Run<Classifier>, rows: Int32Array, options: Search): Promise<void> {
  const { moves, findings } = options;
  const { width } = run;
  const pace = createPacer(run.signal);
  let active = rows;
  let goal = run.goal.take(active);
  let loss = lossOf(goal);
  let streams = Array.from(rows, options.rng);
  const best = new Float32Array(rows.length * width);
  const tried = new Float32Array(rows.length * width);
  const bestValue = new Float64Array(rows.length).fill(Number.NEGATIVE_INFINITY);

  for (let query = 0; query <= options.queries && active.length > 0; query++) {
    const m = active.length;
    const share = options.share(query - 1);
    for (let i = 0; i < m; i++) {
      if (query === 0) moves.start(active[i]!, streams[i]!, tried, i * width);
      // Most of the tries that change nothing put a window's sign where it is already.
      else for (let again = 0; again < 20 && !moves.change(active[i]!, streams[i]!, share, tried, i * width); again++);
    }
    await pace();
    const points = pointsOf(run, tried, m);
    const logits = await run.logits(points, active, options.salt + query);
    const sure = await confirmed(run, goal, points, active, goal.isReached(logits).data);
    const value = loss.value(logits).data;
    for (let i = 0; i < m; i++) {
      if (sure[i] === 1) findings.offer(active[i]!, points, i, true, 0);
      else if (value[i]! > bestValue[i]! || query === 0) {
        bestValue[i] = Number.isNaN(value[i]!) ? Number.NEGATIVE_INFINITY : value[i]!;
        best.set(tried.subarray(i * width, (i + 1) * width), i * width);
      } else tried.set(best.subarray(i * width, (i + 1) * width), i * width);
    }
    if (sure.includes(1)) {
      const left = range(0, m).filter((i) => sure[i] === 0);
      keepRows(best, left, width);
      keepRows(tried, left, width);
      keepRows(bestValue, left);
      streams = Array.from(left, (i) => streams[i]!);
      active = left.map((i) => active[i]!);
      goal = goal.take(left);
      loss = lossOf(goal);
    }
    if (query > 0) options.progress(query);
  }
  if (active.length === 0) return;

  await pace();
  const points = pointsOf(run, best, active.length);
  const logits = await run.logits(points, active);
  const reached = goal.isReached(logits).data;
  const value = loss.value(logits).data;
  for (let i = 0; i < active.length; i++) findings.offer(active[i]!, points, i, reached[i] === 1, value[i]!);
}

/** What the search climbs. */
function lossOf({ kind, classes }: Goal): Loss {
  return kind === "untargeted" ? margin(classes) : weightedSum([[-1, crossEntropy(classes)]]);
}
