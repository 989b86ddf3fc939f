import {
  type Attack,
  checkNumber,
  createPacer,
  expected,
  type Goal,
  margin,
  type NdArray,
  takeRows,
  weightedSum,
} from "@parapet/core";
import { openRun, type Run, range } from "./shared/run.ts";

/** What one or more columns of a record are. */
export type TabularFeature =
  | { readonly kind: "number" | "integer" }
  /** One category of `size`, each with a column: 1 in one of them, 0 in the others. */
  | { readonly kind: "one-hot"; readonly size: number };

/** Options of `lowProFool`. */
export interface LowProFoolOptions {
  /** What the columns are, from the first to the last; default: every column a number. */
  readonly features?: readonly TabularFeature[];
  /** How much a change of each column weighs, > 0; default 1 / (upper - lower), so that a change of the whole range is 1. */
  readonly weights?: readonly number[];
  /** Number of steps, default 100. */
  readonly steps?: number;
  /** What lies farther, in the weighted norm, does not count; default Infinity. */
  readonly epsilon?: number;
  /** Records in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/** Columns that change together: one column, or those of a category. */
interface Unit {
  readonly kind: TabularFeature["kind"];
  readonly from: number;
  readonly to: number;
}

/**
 * Looks for the smallest change of a record that a reader of tables would overlook and the model does not: smallest in
 * `sqrt(sum_j (weight_j * change_j)^2)`, with high weights on the columns that people look at.
 *
 * Every record that the model is asked about, and so every result, is a valid one: whole numbers stay whole, a category
 * is one of its values (one whose upper bound is below 1 is never chosen), bounds hold, and what `context.mask` holds does
 * not change; a category stands still where the mask holds any of its columns.
 *
 * The steps of a continuous change follow the gradient of the margin in the weighted norm, on a sphere that shrinks after
 * a success and grows after a failure; the model sees, and the gradient is taken at, the valid record nearest to it. In
 * the end whole numbers and categories that turn out not to be needed go back.
 *
 * @param options - what the columns are and weigh
 * @returns an attack on models of records `[n, columns]` with gradients; `distance` is the weighted norm; `steps` gradients
 *   an example, and as many queries more as whole numbers and categories changed
 * @throws RangeError or TypeError when an option is out of range; on use, when columns do not add up or a record is not valid
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { lowProFool } from "@parapet/attacks";
 * import { affineModel } from "@parapet/testing";
 * // Income, children, and one of two kinds of contract.
 * const bounds = { lower: Float32Array.of(0, 0, 0, 0), upper: Float32Array.of(100, 10, 1, 1) };
 * const model = affineModel({ weights: [[0, 0, 0, 0], [0.1, -1, 2, -1]], bias: [3.5, 0], bounds });
 * const attack = lowProFool({ features: [{ kind: "number" }, { kind: "integer" }, { kind: "one-hot", size: 2 }] });
 * const x = ndArray([50, 2, 0, 1], [1, 4]);
 * const { adversarial, success } = await attack(model, x, untargeted([0]), { rng: createRng(0) });
 * const [, children, ...contract] = adversarial.data;
 * console.log(success.data[0], Number.isInteger(children), contract.join(" ")); // => 1 true 0 1
 * ```
 *
 * Source: V. Ballet et al., "Imperceptible Adversarial Attacks on Tabular Data", 2019, https://arxiv.org/abs/1911.03274,
 * algorithm 1; types and immutable features as in F. Cartella et al., "Adversarial Attacks for Tabular Data", 2021,
 * https://arxiv.org/abs/2101.08030, section 3. Differences from the papers: the weighted norm is bounded by a radius that
 * adapts (J. Rony et al., 2019, https://arxiv.org/abs/1811.09600, algorithm 1) in place of a penalty with a fixed factor;
 * the margin in place of the goal's loss; gradients at valid records; categories; the going back.
 */
export function lowProFool(options: LowProFoolOptions = {}): Attack {
  const { features, weights, steps = 100, epsilon = Number.POSITIVE_INFINITY, batchSize = 128 } = options;
  checkNumber("steps", steps, { min: 1, integer: true });
  checkNumber("batchSize", batchSize, { min: 1, integer: true });
  if (epsilon !== Number.POSITIVE_INFINITY) checkNumber("epsilon", epsilon, { min: 0 });
  if (weights !== undefined) for (const weight of weights) checkNumber("weights", weight, { above: 0 });
  const given = features === undefined ? undefined : unitsOf(features);

  return async (model, input, goal, context) => {
    const run = openRun("lowProFool", model, input, goal, context);
    const { n, width } = run;
    if (model.inputShape.length !== 1) {
      throw new TypeError(expected("inputShape", "one axis of columns", model.inputShape));
    }
    const units = given ?? unitsOf(Array.from({ length: width }, () => ({ kind: "number" })));
    if (units.at(-1)?.to !== width)
      throw new TypeError(expected("features", `${width} columns`, units.at(-1)?.to ?? 0));
    if (weights !== undefined && weights.length !== width) {
      throw new TypeError(expected("weights", `${width} weights, one a column`, weights.length));
    }
    checkRecords(run, units);
    const scale = Float64Array.from({ length: width }, (_, j) => {
      const span = run.upper[j]! - run.lower[j]!;
      return weights?.[j] ?? (span > 0 && Number.isFinite(span) ? 1 / span : 1);
    });
    const loss = (local: Goal) =>
      local.kind === "untargeted" ? margin(local.classes) : weightedSum([[-1, margin(local.classes)]]);
    const search = new Search(run, units, scale, epsilon);
    const pace = createPacer(run.signal);
    const total = n * (steps + 1);
    for (let from = 0; from < n; from += batchSize) {
      const all = range(from, Math.min(n, from + batchSize));
      let rows = all;
      for (let step = 0; step < steps && rows.length > 0; step++) {
        await pace();
        const local = goal.take(rows);
        const points = search.records(rows);
        // Salt 0: what is reached here is reached by the example's own key.
        const { logits, gradient } = await run.gradient(points, rows, loss(local));
        const reached = local.isReached(logits).data;
        const turn = (1 + Math.cos((Math.PI * step) / steps)) / 2;
        rows.forEach((row, i) => {
          if (reached[i] === 1) search.offer(row, points, i);
          search.step(row, gradient.data.subarray(i * width, (i + 1) * width), reached[i] === 1, turn);
        });
        rows = rows.filter((row) => search.distance[row]! > 0);
        run.progress(from * (steps + 1) + all.length * (step + 1), total);
      }
      await search.goBack(all, goal, pace);
      run.progress((from + all.length) * (steps + 1), total);
    }
    return {
      adversarial: { dtype: "float32", shape: [...run.x.shape], data: search.best },
      success: { dtype: "bool", shape: [n], data: Uint8Array.from(search.distance, (d) => Number(Number.isFinite(d))) },
      distance: {
        dtype: "float32",
        shape: [n],
        data: Float32Array.from(search.distance, (d) => (Number.isFinite(d) ? d : 0)),
      },
      queries: { dtype: "int32", shape: [n], data: run.queries },
      gradients: { dtype: "int32", shape: [n], data: run.gradients },
    };
  };
}

/** Where every example is: its continuous change, its radius, and the nearest success. */
class Search {
  readonly best: Float32Array;
  readonly distance: Float64Array;
  readonly #run: Run;
  readonly #units: readonly Unit[];
  readonly #scale: Float64Array;
  readonly #epsilon: number;
  readonly #change: Float64Array;
  readonly #radius: Float64Array;
  /** The weighted length of the whole table's diagonal: nothing is farther. */
  readonly #farthest: number;

  constructor(run: Run, units: readonly Unit[], scale: Float64Array, epsilon: number) {
    this.#run = run;
    this.#units = units;
    this.#scale = scale;
    this.#epsilon = epsilon;
    this.best = run.x.data.slice();
    this.distance = new Float64Array(run.n).fill(Number.POSITIVE_INFINITY);
    this.#change = new Float64Array(run.x.data.length);
    const diagonal = Math.hypot(...scale.map((weight, j) => weight * (run.upper[j]! - run.lower[j]!)));
    this.#farthest = Number.isFinite(diagonal) ? diagonal : Number.MAX_VALUE;
    const start = Math.min(epsilon, Number.isFinite(diagonal) ? diagonal / 10 : 1);
    this.#radius = new Float64Array(run.n).fill(start);
  }

  /** The valid records nearest to where the examples are. */
  records(rows: Int32Array): NdArray {
    const { width, x, lower, upper } = this.#run;
    const data = new Float32Array(rows.length * width);
    rows.forEach((row, i) => {
      const [from, to] = [row * width, i * width];
      for (const unit of this.#units) {
        if (unit.kind === "one-hot") {
          let chosen = -1;
          let most = Number.NEGATIVE_INFINITY;
          for (let j = unit.from; j < unit.to; j++) {
            const value = x.data[from + j]! + this.#change[from + j]!;
            // On a tie the record's own value stays.
            const better = value > most || (value === most && x.data[from + j] === 1);
            if ((upper[j]! >= 1 || x.data[from + j] === 1) && better) {
              chosen = j;
              most = value;
            }
          }
          data[to + chosen] = 1;
          continue;
        }
        const j = unit.from;
        const value = x.data[from + j]! + this.#change[from + j]!;
        data[to + j] =
          unit.kind === "integer"
            ? Math.max(Math.ceil(lower[j]!), Math.min(Math.floor(upper[j]!), Math.round(value)))
            : Math.max(lower[j]!, Math.min(upper[j]!, value));
      }
    });
    return this.#held(data, rows);
  }

  /** Masked columns, and categories that have one, are the record's own. */
  #held(data: Float32Array, rows: Int32Array): NdArray {
    const { width, x } = this.#run;
    rows.forEach((row, i) => {
      for (const unit of this.#units) {
        if (this.#isFree(row, unit)) continue;
        for (let j = unit.from; j < unit.to; j++) data[i * width + j] = x.data[row * width + j]!;
      }
    });
    return { dtype: "float32", shape: [rows.length, width], data };
  }

  #isFree(row: number, unit: Unit): boolean {
    if (!this.#run.masked) return true;
    for (let j = unit.from; j < unit.to; j++) if (!this.#run.free(row * this.#run.width + j)) return false;
    return true;
  }

  /** Row `i` of `points` reaches the goal of example `row`. */
  offer(row: number, points: NdArray, i: number): void {
    const { width, x } = this.#run;
    const point = points.data.subarray(i * width, (i + 1) * width);
    const size = Math.sqrt(
      point.reduce((sum, v, j) => sum + (this.#scale[j]! * (v - x.data[row * width + j]!)) ** 2, 0),
    );
    if (!(size < this.distance[row]! && size <= this.#epsilon)) return;
    this.distance[row] = size;
    this.best.set(point, row * width);
  }

  /** One step up the gradient, on the sphere of the new radius. `turn` goes from 1 to 0. */
  step(row: number, gradient: Float32Array, reached: boolean, turn: number): void {
    const { width, x, lower, upper } = this.#run;
    const from = row * width;
    const factor = 0.005 + 0.3 * turn;
    const most = Math.min(this.#epsilon, this.distance[row]!, this.#farthest);
    const radius = Math.min(most, this.#radius[row]! * (reached ? 1 - factor : 1 + factor));
    this.#radius[row] = radius;
    const change = this.#change.subarray(from, from + width);
    // In coordinates where the weighted norm is the Euclidean one.
    const ascent = new Float64Array(width);
    let length = 0;
    for (const unit of this.#units) {
      if (!this.#isFree(row, unit)) continue;
      for (let j = unit.from; j < unit.to; j++) {
        const g = gradient[j]! / this.#scale[j]!;
        ascent[j] = Number.isFinite(g) ? g : 0;
        length += ascent[j]! ** 2;
      }
    }
    if (length === 0) return;
    const move = (radius * (0.01 + 0.99 * turn)) / Math.sqrt(length);
    let size = 0;
    for (let j = 0; j < width; j++) {
      ascent[j] = change[j]! * this.#scale[j]! + move * ascent[j]!;
      size += ascent[j]! ** 2;
    }
    const onto = size > 0 ? radius / Math.sqrt(size) : 0;
    for (let j = 0; j < width; j++) {
      const value = x.data[from + j]!;
      change[j] = Math.max(lower[j]! - value, Math.min(upper[j]! - value, (onto * ascent[j]!) / this.#scale[j]!));
    }
  }

  /** Whole numbers and categories go back to what they were, the heaviest change first, where the goal stays reached. */
  async goBack(rows: Int32Array, goal: Goal, pace: () => Promise<void>): Promise<void> {
    const { width, x } = this.#run;
    const weight = (row: number, { from, to }: Unit) => {
      let sum = 0;
      for (let j = from; j < to; j++) {
        sum += (this.#scale[j]! * (this.best[row * width + j]! - x.data[row * width + j]!)) ** 2;
      }
      return sum;
    };
    const found = rows.filter((row) => Number.isFinite(this.distance[row]!));
    const changed = Array.from(found, (row) =>
      this.#units
        .filter((unit) => unit.kind !== "number" && weight(row, unit) > 0)
        .sort((a, b) => weight(row, b) - weight(row, a)),
    );
    for (let round = 0; ; round++) {
      const open = range(0, found.length).filter((i) => round < changed[i]!.length);
      if (open.length === 0) return;
      await pace();
      const ids = open.map((i) => found[i]!);
      const points = takeRows({ ...x, data: this.best }, ids);
      open.forEach((i, at) => {
        const { from, to } = changed[i]![round]!;
        points.data.set(x.data.subarray(ids[at]! * width + from, ids[at]! * width + to), at * width + from);
      });
      const reached = goal.take(ids).isReached(await this.#run.logits(points, ids)).data;
      ids.forEach((row, at) => {
        if (reached[at] === 1) this.offer(row, points, at);
      });
    }
  }
}

function unitsOf(features: readonly TabularFeature[]): readonly Unit[] {
  let from = 0;
  return features.map((feature) => {
    const kind = feature?.kind;
    if (kind !== "number" && kind !== "integer" && kind !== "one-hot") {
      throw new TypeError(expected("features", 'kinds "number", "integer" or "one-hot"', kind));
    }
    const size = kind === "one-hot" ? checkNumber("features.size", feature.size, { min: 2, integer: true }) : 1;
    const unit = { kind, from, to: from + size };
    from += size;
    return unit;
  });
}

/** What is not valid to begin with cannot stay so. */
function checkRecords({ x, n, width, lower, upper }: Run, units: readonly Unit[]): void {
  for (const { kind, from, to } of units) {
    if (kind === "number") continue;
    for (let row = 0; row < n; row++) {
      let ones = 0;
      for (let j = from; j < to; j++) {
        const value = x.data[row * width + j]!;
        const where = `${value} (row ${row}, column ${j})`;
        if (!Number.isInteger(value)) throw new RangeError(`"x" expected whole numbers, got ${where}`);
        if (kind === "integer") continue;
        if (value !== 0 && value !== 1) throw new RangeError(`"x" expected 0 or 1 in a category, got ${where}`);
        ones += value;
      }
      if (kind === "one-hot" && ones !== 1) {
        throw new RangeError(`"x" expected one 1 in columns ${from} to ${to - 1}, got ${ones} (row ${row})`);
      }
    }
    for (let j = from; j < to; j++) {
      if (kind === "one-hot" && (lower[j]! > 0 || upper[j]! < 0)) {
        throw new RangeError(expected("bounds", `0 allowed in column ${j}, of a category`, [lower[j], upper[j]]));
      }
    }
  }
}
