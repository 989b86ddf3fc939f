import {
  type CallOptions,
  createRng,
  type DifferentiableClassifier,
  type GradientResult,
  type Loss,
  linear,
  type NdArray,
  ndArray,
  type TrainableClassifier,
} from "@parapet/core";
import { noisyModel, tinyMlp } from "../src/index.ts";

/** Tensors that a mutant has left behind. */
export const engine = { tensors: 0 };

/** The model that all mutants are made from; it answers as `tinyMlp` does. */
export function good(): TrainableClassifier {
  return tinyMlp({ inputShape: [3], hidden: 10, numClasses: 3, activation: "tanh", rng: createRng("good") });
}

/** What it is asked about. */
export const inputs = ndArray([0.6, 0.7, 0.2, 0.1, 0.9, 0.5, 0.3, 0.3, 0.8, 0, 1, 0.5], [4, 3]);
export const labels = [0, 1, 2, 0];

type Change = (model: TrainableClassifier) => Partial<TrainableClassifier>;

/** The good model with some of its methods exchanged. */
const changed = (change: Change) => (): TrainableClassifier => {
  const model = good();
  return { ...model, ...change(model) };
};

const map = (array: NdArray, f: (value: number, i: number) => number): NdArray => ({
  ...array,
  data: array.data.map(f),
});

/** A model whose gradient is something else, for the losses picked. */
const wrongGradient = (f: (gradient: NdArray, x: NdArray) => NdArray, picks: (loss: Loss) => boolean = () => true) =>
  changed((model) => ({
    async gradient(x, loss, options) {
      const answer = await model.gradient(x, loss, options);
      return picks(loss) ? { ...answer, gradient: f(answer.gradient, x) } : answer;
    },
  }));

export const answerMutants = {
  "logits are float32 [n, classes] and finite, labels int32 [n]": {
    mutant: "labels with an axis too many",
    make: changed((model) => ({
      async labels(x, options) {
        const { data } = await model.labels(x, options);
        return { dtype: "int32", shape: [data.length, 1], data };
      },
    })),
    says: /labels: expected shape \[4\], got \[4,1\]/,
  },
  "a label is the index of the row's largest logit": {
    mutant: "labels from 1",
    make: changed((model) => ({
      async labels(x, options) {
        const labels = await model.labels(x, options);
        return { ...labels, data: labels.data.map((label) => label + 1) };
      },
    })),
    says: /element 0: expected/,
  },
  "the inputs of logits and labels stay as they are": {
    mutant: "labels works in the caller's memory",
    make: changed((model) => ({
      async labels(x, options) {
        const labels = await model.labels(x, options);
        x.data[1] = 0.5;
        return labels;
      },
    })),
    says: /element 1 \[0, 1\]: expected .*, got 0.5/,
  },
  "writing into an answer, or into the inputs later, changes no other answer": {
    mutant: "one array for all answers",
    make: changed((model) => {
      const shared = new Float32Array(12);
      return {
        async logits(x, options) {
          const logits = await model.logits(x, options);
          if (logits.data.length !== 12) return logits;
          shared.set(logits.data);
          return { ...logits, data: shared };
        },
      };
    }),
    says: /got 123/,
  },
  "the same call gives the same logits and labels": {
    mutant: "logits that drift",
    make: changed((model) => {
      let calls = 0;
      return { logits: async (x, options) => map(await model.logits(x, options), (z) => z + 1e-6 * calls++) };
    }),
    says: /element \d+ .*: expected/,
  },
  "a row's logits do not depend on the size of the batch": {
    mutant: "logits that know the batch's size",
    make: changed((model) => ({
      logits: async (x, options) => map(await model.logits(x, options), (z) => z + 1e-6 * x.shape[0]!),
    })),
    says: /element 0 \[0, 0\]/,
  },
  "a row's logits do not depend on the order of the rows": {
    mutant: "logits that know the row's place",
    make: changed((model) => ({
      logits: async (x, options) => map(await model.logits(x, options), (z, i) => z + 1e-6 * i),
    })),
    says: /element \d+ .*: expected/,
  },
  "concurrent calls give what serial calls give": {
    mutant: "the input is kept in one place while the call waits",
    make: changed((model) => {
      let held: NdArray;
      return {
        async logits(x, options) {
          held = x;
          await Promise.resolve();
          return model.logits(held, options);
        },
      };
    }),
    says: /element \d+ .*: expected/,
  },
};

const BAD: Readonly<Record<string, (x: NdArray) => boolean>> = {
  "a NaN": (x) => x.data.some(Number.isNaN),
  "an infinite value": (x) => x.data.includes(Number.POSITIVE_INFINITY),
  "the wrong shape": (x) => x.shape.length > 2,
  "a missing batch axis": (x) => x.shape.length < 2,
  "a length that is not the shape's": (x) => x.shape[0]! > 0 && x.data.length === 11,
  "the wrong dtype": (x) => (x.dtype as string) === "int32",
  "an empty batch": (x) => x.shape[0] === 0,
};

/** For each kind of bad input a model that answers as if it had been asked about the good inputs. */
export const badInputMutants = Object.fromEntries(
  Object.entries(BAD).flatMap(([kind, isBad]) => {
    const mended = (x: NdArray) => (isBad(x) ? inputs : x);
    const tolerant = changed((model) => ({
      logits: (x, options) => model.logits(mended(x), options),
      linearize: (x, options) => model.linearize(mended(x), options),
    }));
    const mutant = `answers ${kind}`;
    return [
      [
        `logits and labels refuse ${kind}, and go on`,
        { mutant, make: tolerant, says: /logits of .*expected a rejection/ },
      ],
      [
        `gradient and linearize refuse ${kind}, and go on`,
        { mutant, make: tolerant, says: /linearize at .*expected a rejection/ },
      ],
    ] as const;
  }),
);

/** Methods that all fail once one call has failed. */
function poisoned(model: TrainableClassifier): Pick<TrainableClassifier, "gradient"> {
  let broken = false;
  return {
    async gradient(x, loss, options) {
      if (broken) throw new Error("out of order since the last error");
      try {
        return await model.gradient(x, loss, options);
      } catch (error) {
        broken = true;
        throw error;
      }
    },
  };
}

const SIGNALS = ["logits", "labels", "gradient", "linearize"] as const;

function unsignalled(options?: CallOptions): CallOptions {
  const { signal: _, ...rest } = options ?? {};
  return rest;
}

/** Each method without a look at the signal, and each with microtasks only. */
export const abortMutants = Object.fromEntries(
  SIGNALS.flatMap((method) => {
    const deaf = changed((model) => ({
      logits: (x, options) => model.logits(x, unsignalled(options)),
      labels: (x, options) => model.labels(x, unsignalled(options)),
      gradient: (x, loss, options) => model.gradient(x, loss, unsignalled(options)),
      linearize: (x, options) => model.linearize(x, unsignalled(options)),
    }));
    const starving = changed((model) => {
      const logits = ndArray(new Float32Array(12), [4, 3]);
      const at = (options?: CallOptions) => options?.signal?.throwIfAborted();
      return {
        ...model,
        async logits(_, options) {
          at(options);
          return logits;
        },
        async labels(_, options) {
          at(options);
          return ndArray(new Int32Array(4));
        },
        async gradient(x, _, options) {
          at(options);
          return { logits, value: logits, gradient: x };
        },
        async linearize(x, options) {
          at(options);
          return { logits, pullback: async () => x, release() {} };
        },
      };
    });
    return [
      [
        `${method}: an aborted signal rejects with its reason`,
        { mutant: "the signal is not looked at", make: deaf, says: /expected a rejection, got an answer/ },
      ],
      [
        `${method}: a timer can abort a loop of calls`,
        { mutant: "nothing but promises", make: starving, says: /the timer never had its turn/ },
      ],
    ] as const;
  }),
);

const kindIs = (kind: string) => (loss: Loss) => loss.form?.kind === kind;

export const gradientMutants = {
  "a gradient has the inputs' shape, its logits are logits(), its value the loss of those": {
    mutant: "the mean of the losses for each",
    make: changed((model) => ({
      async gradient(x, loss, options) {
        const answer = await model.gradient(x, loss, options);
        return { ...answer, value: map(answer.value, (value) => value / loss.count) };
      },
    })),
    says: /element \d: expected/,
  },
  "the gradient of cross-entropy agrees with central differences": {
    mutant: "the gradient of the mean",
    make: wrongGradient((gradient) => map(gradient, (value) => value / 4), kindIs("cross-entropy")),
    says: /central differences say/,
  },
  "the gradient of margin agrees with central differences": {
    mutant: "the sign of the gradient",
    make: wrongGradient((gradient) => map(gradient, Math.sign), kindIs("margin")),
    says: /central differences say/,
  },
  "the gradient of a linear loss agrees with central differences": {
    mutant: "one feature in three is forgotten",
    make: wrongGradient((gradient) => map(gradient, (value, i) => (i % 3 === 1 ? 0 : value)), kindIs("linear")),
    says: /central differences say/,
  },
  "the gradient of a loss of two parts agrees with central differences": {
    mutant: "the second part stands still",
    make: wrongGradient(
      (gradient) => map(gradient, (value, i) => (i < gradient.data.length / 2 ? value : 0)),
      (loss) => loss.parts === 2,
    ),
    says: /central differences say/,
  },
  "the gradient is linear in the loss": {
    mutant: "a gradient clipped at 0.1",
    make: wrongGradient((gradient) => map(gradient, (value) => Math.max(-0.1, Math.min(0.1, value)))),
    says: /gradient of 2 A - B \/ 2/,
  },
  "a row's gradient does not depend on the size of the batch": {
    mutant: "a gradient of the mean",
    make: wrongGradient((gradient) => map(gradient, (value) => value / gradient.shape[0]!)),
    says: /element 0/,
  },
  "a row's gradient does not depend on the order of the rows": {
    mutant: "a gradient that knows the row's place",
    make: wrongGradient((gradient) => map(gradient, (value, i) => value + 1e-6 * i)),
    says: /element \d+/,
  },
  "the inputs of gradient and linearize stay as they are, and answers are fresh": {
    mutant: "linearize works in the caller's memory",
    make: changed((model) => ({
      async linearize(x, options) {
        const pass = await model.linearize(x, options);
        x.data[2] = 0.25;
        return pass;
      },
    })),
    says: /element 2 \[0, 2\]: expected .*, got 0.25/,
  },
  "a pullback is the gradient of the linear loss, and repeats": {
    mutant: "pullbacks add up",
    make: changed((model) => ({
      async linearize(x, options) {
        const pass = await model.linearize(x, options);
        const sum = new Float32Array(x.data.length);
        return {
          ...pass,
          async pullback(cotangent) {
            return map(await pass.pullback(cotangent), (value, i) => {
              sum[i]! += value;
              return sum[i]!;
            });
          },
        };
      },
    })),
    says: /element \d+/,
  },
  "a linearization keeps the inputs of its forward pass": {
    mutant: "the caller's memory is read at every pullback",
    make: changed((model) => ({
      async linearize(x, options) {
        const pass = await model.linearize(x, options);
        return { ...pass, pullback: async (cotangent) => (await model.gradient(x, linear(cotangent))).gradient };
      },
    })),
    says: /element \d+/,
  },
  "a pullback after release rejects, and release may be called again": {
    mutant: "release does nothing",
    make: changed((model) => ({
      linearize: async (x, options) => ({ ...(await model.linearize(x, options)), release() {} }),
    })),
    says: /pullback after release: expected a rejection/,
  },
  "concurrent gradients are what serial ones are": {
    mutant: "the loss is kept in one place while the call waits",
    make: changed((model) => {
      let held: Loss;
      return {
        async gradient(x, loss, options) {
          held = loss;
          await Promise.resolve();
          return model.gradient(x, held, options);
        },
      };
    }),
    says: /element \d+/,
  },
  "gradient refuses a label that is no class, and goes on": {
    mutant: "out of order after the first error",
    make: changed(poisoned),
    says: /out of order/,
  },
  "gradient refuses a loss of another count, and goes on": {
    mutant: "the rows without a label are left out",
    make: changed((model) => ({
      async gradient(x, loss, options): Promise<GradientResult> {
        const n = loss.count * loss.parts;
        if (n === x.shape[0]) return model.gradient(x, loss, options);
        return model.gradient({ ...x, shape: [n, 3], data: x.data.slice(0, 3 * n) }, loss, options);
      },
    })),
    says: /loss of n - 1 values: expected a rejection/,
  },
};

export const randomisedMutants = {
  "a randomised model refuses a call without keys, and one with too few": {
    mutant: "keys of its own",
    make: (): DifferentiableClassifier => {
      const model = noisyModel(good(), 0.1);
      const keyed = (x: NdArray, options?: CallOptions) => ({ keys: new Uint32Array(x.shape[0]!), ...options });
      return { ...model, logits: (x, options) => model.logits(x, keyed(x, options)) };
    },
    says: /logits without keys: expected a rejection/,
  },
  "other keys give other logits": {
    mutant: "noise without a size",
    make: (): DifferentiableClassifier => noisyModel(good(), 0),
    says: /different ones under different keys, got the same/,
  },
};
