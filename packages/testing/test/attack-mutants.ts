import {
  type Attack,
  type AttackContext,
  type AttackResult,
  createRng,
  type DifferentiableClassifier,
  type Goal,
  labelsOf,
  type NdArray,
} from "@parapet/core";
import { withBounds } from "../src/models/wrap.ts";
import { referenceAttack } from "./reference-attack.ts";

export type Make = (epsilon: number) => Attack;

/** The arguments of an attack, by name. */
interface Call {
  readonly epsilon: number;
  readonly model: DifferentiableClassifier;
  readonly x: NdArray;
  readonly goal: Goal;
  readonly context: AttackContext;
}

/** The lawful attack with some of its arguments exchanged before, or its result after. */
function changed(
  before: (call: Call) => Partial<Call>,
  after: (result: AttackResult, call: Call) => Partial<AttackResult> | Promise<Partial<AttackResult>> = () => ({}),
): () => Make {
  return () => (epsilon) => {
    referenceAttack(epsilon); // refuses what it refuses
    return async (model, x, goal, context) => {
      const call = { epsilon, model, x, goal, context };
      const { epsilon: radius, ...given } = { ...call, ...before(call) };
      const result = await referenceAttack(radius)(given.model, given.x, given.goal, given.context);
      return { ...result, ...(await after(result, call)) };
    };
  };
}

const same = () => ({});

function without(context: AttackContext, name: keyof AttackContext): AttackContext {
  const { [name]: _, ...rest } = context;
  return rest as AttackContext;
}

/** The first feature of every row, moved by something. */
function nudged(adversarial: NdArray, by: (row: number) => number): NdArray {
  const width = adversarial.data.length / adversarial.shape[0]!;
  const data = adversarial.data.map((value, i) => value + (i % width === 0 ? by(i / width) : 0));
  return { ...adversarial, data };
}

let counter = 0;
let running = 0;

export const geometryMutants = {
  "a result has the inputs' shape and one entry an example everywhere else": {
    mutant: "distances with an axis too many",
    make: changed(same, ({ distance }) => ({ distance: { ...distance, shape: [...distance.shape, 1] } })),
    says: /distance: expected float32 \[8\], got float32 \[8,1\]/,
  },
  "inputs and labels stay as they are, and the result is fresh": {
    mutant: "the attack works in the caller's memory",
    make: changed(same, ({ adversarial }, { x }) => {
      x.data.set(adversarial.data);
      return { adversarial: x };
    }),
    says: /expected .+, got .+ differ/,
  },
  "a result lies inside the bounds, exactly": {
    mutant: "bounds are kept to six digits only",
    make: changed(({ model }) => ({ model: withBounds(model, { lower: -1e-6, upper: 1 + 1e-6 }) })),
    says: /expected a value in \[0, 1\], got/,
  },
  "a result lies inside bounds that differ from feature to feature": {
    mutant: "the widest bounds for all features",
    make: changed(({ model }) => {
      const { lower, upper } = model.bounds;
      if (typeof lower === "number" || typeof upper === "number") return {};
      return { model: withBounds(model, { lower: Math.min(...lower), upper: Math.max(...upper) }) };
    }),
    says: /expected a value in/,
  },
  "a result lies inside the ball, to float32 precision": {
    mutant: "a ball that is a ten-thousandth too large",
    make: changed(({ epsilon }) => ({ epsilon: epsilon * 1.0001 })),
    says: /expected at most .+ from the input in linf/,
  },
  "the distance told is the distance of the result": {
    mutant: "epsilon told as the distance",
    make: changed(same, ({ distance }, { epsilon }) => ({
      distance: { ...distance, data: distance.data.map(() => epsilon * 0.99) },
    })),
    says: /element \d: expected/,
  },
  "epsilon 0 is the identity": {
    mutant: "epsilon 0 means the default",
    make: changed(({ epsilon }) => ({ epsilon: epsilon || 0.1 })),
    says: /element \d/,
  },
  "where the border is near, it is crossed": {
    mutant: "an attack that does nothing",
    make: changed(() => ({ epsilon: 0 })),
    says: /success: expected 1/,
  },
};

export const independenceMutants = {
  "the same seed gives the same bytes": {
    mutant: "state from call to call",
    make: changed(({ context }) => ({ context: { ...context, rng: context.rng.derive(counter++) } })),
    says: /untargeted: adversarial/,
  },
  "running an attack twice side by side changes neither result": {
    mutant: "state shared by running attacks",
    make: changed(
      ({ context }) => ({ context: { ...context, rng: context.rng.derive(++running) } }),
      () => {
        running -= 1;
        return {};
      },
    ),
    says: /adversarial/,
  },
  "what was drawn from the generator before does not matter": {
    mutant: "draws from the caller's generator",
    make: changed(({ context }) => ({ context: { ...context, rng: context.rng.derive(context.rng.next()) } })),
    says: /adversarial/,
  },
  "the seed matters to a random attack, and to no other": {
    mutant: "a seed of its own",
    make: changed(({ context }) => ({ context: { ...context, rng: createRng(7) } })),
    says: /9 seeds: expected different results, got one/,
  },
  "an example's result does not depend on the size of the batch": {
    mutant: "a radius that shrinks with the batch",
    make: changed(({ epsilon, goal }) => ({ epsilon: epsilon * (1 - goal.classes.length / 1e4) })),
    says: /rows 0: adversarial/,
  },
  "an example's result does not depend on the order of the batch": {
    mutant: "random streams by place in the batch",
    make: changed(({ context, goal }) => ({
      context: { ...context, keys: Uint32Array.from(goal.classes, (_, i) => i) },
    })),
    says: /rows 7, 6, 5/,
  },
  "an example given twice gets the same result twice": {
    mutant: "random streams by place in the batch",
    make: changed(({ context, goal }) => ({
      context: { ...context, keys: Uint32Array.from(goal.classes, (_, i) => i) },
    })),
    says: /rows 0, 1, 2/,
  },
  "an example's result does not depend on others that stop early": {
    mutant: "one that is there at once changes how the others go on",
    make: changed(same, ({ adversarial, queries }) =>
      Math.min(...queries.data) < Math.max(...queries.data) ? { adversarial: nudged(adversarial, () => 1e-3) } : {},
    ),
    says: /row \d: adversarial/,
  },
  "keys name the random stream of an example": {
    mutant: "the caller's keys are not used",
    make: changed(({ context }) => ({ context: without(context, "keys") })),
    says: /9 sets of keys: expected different results/,
  },
};

export const honestyMutants = {
  "success agrees with a fresh look at the result": {
    mutant: "always a success",
    make: changed(same, ({ success }) => ({ success: { ...success, data: success.data.map(() => 1) } })),
    says: /expected 0, got 1/,
  },
  "queries and gradients are what the model was asked": {
    mutant: "the last look is not counted",
    make: changed(same, ({ queries }) => ({ queries: { ...queries, data: queries.data.map((count) => count - 1) } })),
    says: /told 1 queries, asked 2|told \d+ queries/,
  },
  "progress never decreases and reaches its total": {
    mutant: "no event at the end",
    make: changed(({ context }) => ({
      context: { ...context, onProgress: (event) => event.done < event.total && context.onProgress?.(event) },
    })),
    says: /progress: expected 5 at the end, got 4/,
  },
  "an aborted signal rejects with its reason, before the model is asked": {
    mutant: "the signal is looked at when the work is done",
    make: changed(
      ({ context }) => ({ context: without(context, "signal") }),
      (_, { context }) => {
        context.signal?.throwIfAborted();
        return {};
      },
    ),
    says: /queries: expected 0/,
  },
  "a signal aborted on the way stops it at the next call": {
    mutant: "the signal is looked at when the work is done",
    make: changed(
      ({ context }) => ({ context: without(context, "signal") }),
      (_, { context }) => {
        context.signal?.throwIfAborted();
        return {};
      },
    ),
    says: /calls of the model: expected 1, got/,
  },
  "the signal is handed on to the model": {
    mutant: "the model is called without it",
    make: changed(({ model }) => ({
      model: { ...model, logits: (x) => model.logits(x), gradient: (x, loss) => model.gradient(x, loss) },
    })),
    says: /expected a signal, got none/,
  },
  "an error of the model comes out as it is": {
    mutant: "an error of the attack's own in its place",
    make: changed(({ model }) => ({
      model: {
        ...model,
        gradient: (x, loss, options) =>
          model.gradient(x, loss, options).catch(() => Promise.reject(new Error("the attack failed"))),
      },
    })),
    says: /expected the model's error, got Error: the attack failed/,
  },
  "a model that never answers a number is not a success": {
    mutant: "the largest of several NaN is the first",
    make: changed(same, async ({ adversarial, success }, { model, goal }) => {
      const labels = labelsOf(await model.logits(adversarial)).data;
      const reached = labels.map((label, i) => Number((label === goal.classes[i]) === (goal.kind === "targeted")));
      return { success: { ...success, data: Uint8Array.from(reached) } };
    }),
    says: /success on NaN logits: expected 0, got 1/,
  },
};

export const maskMutants = {
  "features that the mask holds do not change, the others may": {
    mutant: "the mask is not looked at",
    make: changed(({ context }) => ({ context: without(context, "mask") })),
    says: /masked element \d+: expected/,
  },
  "a mask of one example's shape holds for every example": {
    mutant: "such a mask holds for the first example only",
    make: changed(({ context, x }) => {
      const { mask } = context;
      if (mask === undefined || mask.shape.length === x.shape.length) return {};
      const data = new Uint8Array(x.data.length).fill(1);
      data.set(mask.data);
      return { context: { ...context, mask: { dtype: "bool", shape: x.shape, data } } };
    }),
    says: /masked element \d+: expected/,
  },
  "a mask of another shape or dtype is refused": {
    mutant: "what is no mask is left aside",
    make: changed(({ context }) => (context.mask?.shape.length === 5 ? { context: without(context, "mask") } : {})),
    says: /a mask of the wrong shape: expected a rejection/,
  },
};

export const inputMutants = {
  "a NaN, an infinite value and one outside the bounds are refused": {
    mutant: "what is outside is clipped",
    make: changed(({ x }) => ({ x: { ...x, data: x.data.map((value) => Math.min(1, value)) } })),
    says: /an input with Infinity: expected a rejection/,
  },
  "another shape, another dtype and an empty batch are refused": {
    mutant: "integers are taken for numbers",
    make: changed(({ x }) => ({ x: { ...x, dtype: "float32", data: Float32Array.from(x.data) } })),
    says: /an input of dtype int32: expected a rejection/,
  },
  "a goal for another number of examples is refused": {
    mutant: "the examples that have no label are left out",
    make: changed(({ x, goal }) => {
      const n = goal.classes.length;
      return { x: { ...x, shape: [n, 6], data: x.data.slice(0, 6 * n) } };
    }),
    says: /expected a rejection, got an answer/,
  },
  "a goal with a label that is no class is refused": {
    mutant: "an error without a type",
    make: changed(({ goal, model }) => {
      if (goal.classes.some((label) => label >= model.numClasses)) throw new Error("bad label");
      return {};
    }),
    says: /expected a TypeError or a RangeError, got Error: bad label/,
  },
  "keys for another number of examples are refused": {
    mutant: "an error without words",
    make: changed(({ context, goal }) => {
      if (context.keys && context.keys.length !== goal.classes.length) throw new TypeError("bad keys");
      return {};
    }),
    says: /expected a message '"name" expected/,
  },
  "an epsilon below 0, NaN or missing is refused when the attack is made": {
    mutant: "its magnitude is taken",
    make: (): Make => (epsilon) => referenceAttack(Math.abs(epsilon)),
    says: /epsilon -1: expected a rejection/,
  },
  "a scijs ndarray view of any stride and offset is as good as an NdArray": {
    mutant: "the view's memory is read from its beginning",
    make: changed(({ x }) => {
      if (!("stride" in x)) return {};
      const data = x.data.slice(0, x.data.length - 3).map((value) => Math.min(1, value));
      return { x: { dtype: "float32", shape: x.shape, data } };
    }),
    says: /element \d+ \[\d, \d\]: expected/,
  },
};
