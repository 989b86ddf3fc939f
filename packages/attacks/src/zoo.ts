import { type Attack, type Classifier, checkNumber, margin, weightedSum } from "@parapet/core";
import { checkBudget, confine, exampleOf, interview, rangeOf, type Script } from "./shared/questions.ts";
import { Nearest, openRun } from "./shared/run.ts";

/** Options of `zoo`. */
export interface ZooOptions {
  /** What lies farther from the example does not count; l2, >= 0, default infinity. */
  readonly epsilon?: number;
  /** Most queries for each example, of all searches together; default 20,000. */
  readonly queries?: number;
  /** Values of the constant that weighs the loss against the distance, >= 1; each gets its share of the queries; default 5. */
  readonly searchSteps?: number;
  /** The first constant, > 0; default 1. */
  readonly constant?: number;
  /** Features whose derivatives are estimated in one step, >= 1; default 128, or a quarter of all if that is less. */
  readonly coordinates?: number;
  /** Adam's learning rate, as a share of the bounds' range; > 0, default 0.01. */
  readonly stepSize?: number;
  /** How far apart the two points of a difference lie on each side, as a share of the bounds' range; > 0, default 0.001. */
  readonly radius?: number;
  /** Points in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * ZOO: Carlini and Wagner's attack from scores only. It minimises `||p - x||_2^2 + c max(0, -margin(p))` by Adam on a few
 * random coordinates at a time, whose derivatives are symmetric differences,
 * `(f(p + h e_i) - f(p - h e_i)) / (2 h)`; a binary search over c leads to the smallest distance.
 *
 * @param options - budget, search, estimate
 * @returns an attack on models with scores; the smallest distance seen within `queries` queries
 * @throws RangeError or TypeError when an option is out of range
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { zoo } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { distance } = await zoo()(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(distance.data[0]! >= 0.6145 && distance.data[0]! < 0.621); // => true
 * ```
 *
 * Source: P.-Y. Chen et al., "ZOO: Zeroth Order Optimization Based Black-box Attacks to Deep Neural Networks without Training
 * Substitute Models", 2017, https://arxiv.org/abs/1708.03999, algorithm 2. Differences from the paper: bounds by clipping, not
 * by tanh; the derivative of the distance is exact, only the margin's is estimated; differences of logits, which are those
 * of log-probabilities; coordinates in random order without importance sampling and hierarchy.
 */
export function zoo(options: ZooOptions = {}): Attack<Classifier> {
  const { epsilon, queries = 20_000, searchSteps = 5, constant = 1, coordinates } = options;
  const { stepSize = 0.01, radius = 0.001, batchSize = 128 } = options;
  checkBudget({ epsilon, queries, batchSize });
  checkNumber("searchSteps", searchSteps, { min: 1, integer: true });
  checkNumber("constant", constant, { above: 0 });
  if (coordinates !== undefined) checkNumber("coordinates", coordinates, { min: 1, integer: true });
  checkNumber("stepSize", stepSize, { above: 0 });
  checkNumber("radius", radius, { above: 0 });

  return async (model, input, goal, context) => {
    const run = openRun("zoo", model, input, goal, context);
    const nearest = new Nearest(run, "l2", epsilon);
    const { width, lower, upper } = run;
    // Positive where the goal is reached.
    const other = margin(goal.classes);
    const loss = goal.kind === "untargeted" ? other : weightedSum([[-1, other]]);
    const range = Number.isFinite(rangeOf(run)) ? rangeOf(run) : 1;
    const h = radius * range;
    const rate = stepSize * range;

    function* script(row: number): Script {
      const rng = run.rng(row);
      const example = exampleOf(run, row);
      const movable = [...example.keys()].filter((j) => run.free(row * width + j) && upper[j]! > lower[j]!);
      const order = Int32Array.from(movable);
      const many = Math.min(coordinates ?? Math.min(128, Math.ceil(order.length / 4)), order.length);
      if (many === 0) return;
      let weight = constant;
      let least = 0;
      let most = Number.POSITIVE_INFINITY;
      for (let search = 1; search <= searchSteps; search++) {
        const until = Math.floor((queries * search) / searchSteps);
        const point = example.slice();
        const first = new Float64Array(width);
        const second = new Float64Array(width);
        const steps = new Int32Array(width);
        let found = false;
        let next = order.length;
        while (run.queries[row]! + 2 * many + 1 <= until) {
          const points = new Float32Array((2 * many + 1) * width);
          const chosen = new Int32Array(many);
          for (let i = 0; i < many; i++) {
            if (next >= order.length) {
              for (let a = order.length - 1; a > 0; a--) {
                const b = rng.integer(a + 1);
                [order[a], order[b]] = [order[b]!, order[a]!];
              }
              next = 0;
            }
            chosen[i] = order[next++]!;
          }
          for (let i = 0; i <= 2 * many; i++) {
            points.set(point, i * width);
            const j = chosen[i >> 1]!;
            if (i < 2 * many) points[i * width + j]! += i % 2 === 0 ? h : -h;
          }
          const { reached, value } = yield confine(run, row, points);
          found ||= reached[2 * many] === 1;
          const failing = !(value[2 * many]! > 0);
          for (let i = 0; i < many; i++) {
            const j = chosen[i]!;
            const apart = points[2 * i * width + j]! - points[(2 * i + 1) * width + j]!;
            const slope = (value[2 * i]! - value[2 * i + 1]!) / apart;
            let derivative = 2 * (point[j]! - example[j]!);
            if (failing && Number.isFinite(slope)) derivative -= weight * slope;
            const step = ++steps[j]!;
            first[j] = 0.9 * first[j]! + 0.1 * derivative;
            second[j] = 0.999 * second[j]! + 0.001 * derivative * derivative;
            const scale = Math.sqrt(second[j]! / (1 - 0.999 ** step));
            if (scale > 0) point[j]! -= (rate * first[j]!) / ((1 - 0.9 ** step) * scale);
          }
          confine(run, row, point);
        }
        if (found) most = weight;
        else least = weight;
        weight = most === Number.POSITIVE_INFINITY ? 10 * weight : (least + most) / 2;
      }
    }
    await interview(run, { queries, batchSize, nearest, script, loss });
    return nearest.result();
  };
}
