import {
  type Attack,
  checkNumber,
  createPacer,
  type DifferentiableClassifier,
  expected,
  type Labeler,
  type NdArray,
  takeRows,
} from "@parapet/core";
import { openRun, range } from "./shared/run.ts";

/** Options of `transfer`. */
export interface TransferOptions<M extends Labeler = DifferentiableClassifier> {
  /** The model that is attacked in the other's place; same input shape and classes. */
  readonly surrogate: M;
  /** The attack on it. */
  readonly attack: Attack<M>;
  /** Examples in one call of the model; default 128. No effect on the result. */
  readonly batchSize?: number;
}

/**
 * Attacks a surrogate and tries the result on the model, which need only answer with a class.
 *
 * The surrogate is taken to have the model's bounds, so that what is found there can be shown to the model. Where the
 * model resists the point that was found, but gets the example itself wrong, the example is the result, at distance 0.
 * Queries are those of the model, 1 or 2 an example, and gradients are 0: what the surrogate was asked costs the
 * attacker only computing time.
 *
 * @param options - surrogate, and the attack on it; a transfer attack such as `momentumPgd`
 * @returns an attack on anything that answers with a class; `distance` is in the norm of the attack on the surrogate
 * @throws TypeError when there is no surrogate or attack; on use, when the surrogate has another input shape or number of
 *   classes than the model
 *
 * @example
 * ```ts
 * import { createRng, ndArray, untargeted } from "@parapet/core";
 * import { pgd, transfer } from "@parapet/attacks";
 * import { affineModel, researchWeights } from "@parapet/testing";
 * const surrogate = affineModel({ ...researchWeights, bias: [0, 0, 0] }); // near the model, but not the model
 * const attack = transfer({ surrogate, attack: pgd({ epsilon: 0.5 }) });
 * const x = ndArray([0.6, 0.7, 0.2], [1, 3]);
 * const { success, queries } = await attack(affineModel(researchWeights), x, untargeted([0]), { rng: createRng(0) });
 * console.log(success.data[0], queries.data[0]); // => 1 1
 * ```
 *
 * Source: N. Papernot, P. McDaniel and I. Goodfellow, "Transferability in Machine Learning", 2016,
 * https://arxiv.org/abs/1605.07277, section 2. Differences from the paper: the surrogate is given, not trained here.
 */
export function transfer<M extends Labeler = DifferentiableClassifier>(options: TransferOptions<M>): Attack<Labeler> {
  const { surrogate, attack, batchSize = 128 } = options;
  if (typeof surrogate?.labels !== "function") throw new TypeError(expected("surrogate", "a model", surrogate));
  if (typeof attack !== "function") throw new TypeError(expected("attack", "an attack", attack));
  checkNumber("batchSize", batchSize, { min: 1, integer: true });

  return async (model, input, goal, context) => {
    const run = openRun("transfer", model, input, goal, context);
    const { x, n, width } = run;
    const about = ({ inputShape, numClasses }: Labeler) => `[${inputShape.join(", ")}] to ${numClasses} classes`;
    if (about(surrogate) !== about(model)) {
      throw new TypeError(expected("surrogate", `a model of ${about(model)}`, about(surrogate)));
    }
    let total = 0;
    const found = await attack(withBounds(surrogate, model.bounds), x, goal, {
      ...context,
      keys: run.keys,
      onProgress: (event) => {
        total = event.total;
        run.progress(event.done, event.total + n);
      },
    });
    const every = range(0, n);
    const adversarial: NdArray = { dtype: "float32", shape: [...x.shape], data: found.adversarial.data.slice() };
    const distance = found.distance.data.slice();
    const success = new Uint8Array(n);
    const pace = createPacer(run.signal);
    for (let from = 0; from < n; from += batchSize) {
      await pace();
      const rows = every.subarray(from, from + batchSize);
      const reached = goal.take(rows).isReached(await run.labels(takeRows(adversarial, rows), rows)).data;
      success.set(reached, from);
      const open = rows.filter((row) => success[row] === 0);
      if (open.length > 0) {
        const already = goal.take(open).isReached(await run.labels(takeRows(x, open), open)).data;
        open.forEach((row, i) => {
          if (already[i] === 0) return;
          success[row] = 1;
          distance[row] = 0;
          adversarial.data.set(x.data.subarray(row * width, (row + 1) * width), row * width);
        });
      }
      run.progress(total + from + rows.length, total + n);
    }
    return {
      adversarial,
      success: { dtype: "bool", shape: [n], data: success },
      distance: { dtype: "float32", shape: [n], data: distance },
      queries: { dtype: "int32", shape: [n], data: run.queries },
      gradients: { dtype: "int32", shape: [n], data: run.gradients },
    };
  };
}

/** The same model with other bounds; a proxy, because it may be an instance of any class. */
function withBounds<M extends Labeler>(model: M, bounds: Labeler["bounds"]): M {
  return new Proxy(model, {
    get(target, name) {
      if (name === "bounds") return bounds;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
