import { linearizeByRecompute, type NdArray, type Parameters, type TrainableClassifier } from "@parapet/core";
import { engine, good } from "./classifier-mutants.ts";

type Change = (model: TrainableClassifier) => Partial<TrainableClassifier>;

const changed = (change: Change) => (): TrainableClassifier => {
  const model = good();
  return { ...model, ...change(model) };
};

const mapAll = (parameters: Parameters, f: (value: number, name: string, i: number) => number): Parameters =>
  new Map(
    [...parameters].map(([name, array]) => [name, { ...array, data: array.data.map((value, i) => f(value, name, i)) }]),
  );

/** Other gradients of the weights, in `step` too: the two agree with each other. */
const wrongGradients = (f: (value: number, name: string, x: NdArray) => number) =>
  changed((model) => {
    const parameterGradients: TrainableClassifier["parameterGradients"] = async (x, loss, options) => {
      const answer = await model.parameterGradients(x, loss, options);
      return { ...answer, gradients: mapAll(answer.gradients, (value, name) => f(value, name, x)) };
    };
    return {
      parameterGradients,
      async step(x, loss, options) {
        const { gradients, ...result } = await parameterGradients(x, loss, options);
        await model.apply(gradients, options);
        return result;
      },
    };
  });

export const trainingMutants = {
  "steps lower the loss on a fixed batch": {
    mutant: "steps uphill",
    make: wrongGradients((value) => -value),
    says: /loss after 20 steps: expected less than/,
  },
  "a step's value and logits are those of before the update": {
    mutant: "those of after it",
    make: changed((model) => ({
      async step(x, loss, options) {
        await model.step(x, loss, options);
        const { logits, value } = await model.gradient(x, loss);
        return { logits, value };
      },
    })),
    says: /element \d+/,
  },
  "a step's input gradient is the gradient before the step": {
    mutant: "the gradient of the mean",
    make: changed((model) => ({
      async step(x, loss, options) {
        const { inputGradient, ...result } = await model.step(x, loss, options);
        if (inputGradient === undefined) return result;
        return { ...result, inputGradient: { ...inputGradient, data: inputGradient.data.map((g) => g / loss.count) } };
      },
    })),
    says: /element \d+/,
  },
  "a step is parameterGradients, then apply": {
    mutant: "a step of the sum, gradients of the mean",
    make: changed((model) => ({
      async step(x, loss, options) {
        const { gradients, ...result } = await model.parameterGradients(x, loss, options);
        await model.apply(mapAll(gradients, (value) => value * loss.count));
        return result;
      },
    })),
    says: /W1\[\d+\]: step gives .*, apply/,
  },
  "a step follows the gradient of the mean, so a batch given twice counts once": {
    mutant: "the gradient of the sum",
    make: wrongGradients((value, _, x) => value * x.shape[0]!),
    says: /element \d+/,
  },
  "parameterGradients gives one gradient for each weight, in its shape": {
    mutant: "the last bias is forgotten",
    make: changed((model) => ({
      async parameterGradients(x, loss, options) {
        const { gradients, ...result } = await model.parameterGradients(x, loss, options);
        return { ...result, gradients: new Map([...gradients].slice(0, -1)) };
      },
    })),
    says: /gradients: expected for W1, W2, b1, b2, got W1, W2, b1/,
  },
  "the gradient of the weights agrees with central differences of the mean": {
    mutant: "one weight array moves twice as fast",
    make: wrongGradients((value, name) => (name === "W2" ? 2 * value : value)),
    says: /W2\[\d+\]: central differences say/,
  },
  "only a step moves weights or buffers": {
    mutant: "a gradient in training mode moves the statistics",
    make: changed((model) => {
      let mean = 0;
      const buffer = () => ({ dtype: "float32", shape: [1], data: Float32Array.of(mean) }) as const;
      return {
        gradient(x, loss, options) {
          if (options?.mode === "training") mean += 0.1;
          return model.gradient(x, loss, options);
        },
        snapshot: async (options) => ({ ...(await model.snapshot(options)), buffers: new Map([["mean", buffer()]]) }),
      };
    }),
    says: /mean: element 0: expected 0, got 0.1/,
  },
  "a restored snapshot answers as it did": {
    mutant: "the biases are not put back",
    make: changed((model) => ({
      async restore({ weights, ...rest }) {
        const kept = [...weights].filter(([name]) => name.startsWith("W"));
        await model.restore({ weights: new Map(kept), ...rest });
      },
    })),
    says: /element \d+/,
  },
  "a snapshot is a copy, both ways": {
    mutant: "one and the same array for all snapshots",
    make: changed((model) => {
      let last: Parameters | undefined;
      return {
        async logits(x, options) {
          if (last) await model.restore({ weights: last, buffers: new Map() });
          return model.logits(x, options);
        },
        async snapshot(options) {
          const snapshot = await model.snapshot(options);
          last = snapshot.weights;
          return snapshot;
        },
      };
    }),
    says: /element \d+/,
  },
  "a snapshot with the optimizer resumes to the same weights": {
    mutant: "the optimizer's state is not put back",
    make: changed((model) => ({
      restore: ({ weights, buffers }) => model.restore({ weights, buffers }),
    })),
    says: /W1: element 0/,
  },
  "queued steps run in the order of the calls": {
    mutant: "every second step waits a while",
    make: changed((model) => {
      let steps = 0;
      return {
        async step(x, loss, options) {
          if (steps++ % 2 === 1) await new Promise((resolve) => setTimeout(resolve, 2));
          return model.step(x, loss, options);
        },
      };
    }),
    says: /W1: element 0/,
  },
  "a learning rate of 0 moves no weight": {
    mutant: "0 means the default",
    make: changed((model) => ({
      step(x, loss, { learningRate, ...options } = {}) {
        return model.step(x, loss, learningRate ? { ...options, learningRate } : options);
      },
    })),
    says: /W1: element 0/,
  },
  "a linearization keeps the weights of its forward pass": {
    mutant: "every pullback runs the forward pass anew",
    make: changed((model) => ({ linearize: linearizeByRecompute(model) })),
    says: /element \d+/,
  },
  "a step that is refused, thrown out of or aborted changes nothing": {
    mutant: "the statistics move before the loss is asked",
    make: changed((model) => {
      let mean = 0;
      const buffer = () => ({ dtype: "float32", shape: [1], data: Float32Array.of(mean) }) as const;
      return {
        step(x, loss, options) {
          mean += 0.1;
          return model.step(x, loss, options);
        },
        snapshot: async (options) => ({ ...(await model.snapshot(options)), buffers: new Map([["mean", buffer()]]) }),
      };
    }),
    says: /mean: element 0/,
  },
  "a step does not depend on the order of the rows": {
    mutant: "the first row counts more",
    make: wrongGradients((value, name, x) => value * (name === "b1" ? 1 + x.data[0]! : 1)),
    says: /element \d+/,
  },
};

/** A method that leaves something behind: always, or when it fails. */
const leaky = (change: (model: TrainableClassifier, leak: () => void) => Partial<TrainableClassifier>) =>
  changed((model) => change(model, () => engine.tensors++));

const onFailure = (when: (message: string) => boolean) =>
  leaky((model, leak) => {
    const watched = async <T>(call: Promise<T>): Promise<T> => {
      try {
        return await call;
      } catch (error) {
        if (when((error as Error).message)) leak();
        throw error;
      }
    };
    return {
      logits: (x, options) => watched(model.logits(x, options)),
      gradient: (x, loss, options) => watched(model.gradient(x, loss, options)),
      step: (x, loss, options) => watched(model.step(x, loss, options)),
    };
  });

const says = /tensors alive: expected \d+ as before, got \d+/;
const stays = "what the call made stays";
const aborted = onFailure((message) => message.includes("aborted"));
const thrown = onFailure((message) => message.includes("thrown by the loss"));

export const leakMutants = {
  "logits leave no tensors behind": {
    mutant: stays,
    make: leaky((model, leak) => ({
      logits: (x, options) => {
        leak();
        return model.logits(x, options);
      },
    })),
    says,
  },
  "labels leave no tensors behind": {
    mutant: stays,
    make: leaky((model, leak) => ({
      labels: (x, options) => {
        leak();
        return model.labels(x, options);
      },
    })),
    says,
  },
  "an aborted call leaves no tensors behind": { mutant: "what was begun stays", make: aborted, says },
  "a refused call leaves no tensors behind": {
    mutant: "what was begun stays",
    make: onFailure((message) => message.includes("expected")),
    says,
  },
  "a gradient leaves no tensors behind": {
    mutant: "what a compiled loss made stays",
    make: leaky((model, leak) => ({
      gradient: (x, loss, options) => {
        if (loss.form) leak();
        return model.gradient(x, loss, options);
      },
    })),
    says,
  },
  "a gradient of a loss that no engine compiles leaves no tensors behind": {
    mutant: "the cotangent stays",
    make: leaky((model, leak) => ({
      gradient: (x, loss, options) => {
        if (!loss.form) leak();
        return model.gradient(x, loss, options);
      },
    })),
    says,
  },
  "linearize and release leave no tensors behind": {
    mutant: "each pullback leaves something, release frees one",
    make: leaky((model, leak) => ({
      async linearize(x, options) {
        const pass = await model.linearize(x, options);
        const pullback = (cotangent: NdArray) => {
          leak();
          return pass.pullback(cotangent);
        };
        return { ...pass, pullback, release: () => void engine.tensors-- };
      },
    })),
    says,
  },
  "a pullback that is refused leaves no tensors behind": {
    mutant: "the refused cotangent stays",
    make: leaky((model, leak) => ({
      async linearize(x, options) {
        const pass = await model.linearize(x, options);
        const pullback = (cotangent: NdArray) => {
          if (cotangent.shape[0] !== x.shape[0]) leak();
          return pass.pullback(cotangent);
        };
        return { ...pass, pullback };
      },
    })),
    says,
  },
  "a loss that throws in value leaves no tensors behind, and its error comes out": {
    mutant: "the logits stay",
    make: thrown,
    says,
  },
  "a loss that throws in cotangent leaves no tensors behind, and its error comes out": {
    mutant: "another error comes out",
    make: changed((model) => ({
      gradient: (x, loss, options) =>
        model.gradient(x, loss, options).catch(() => Promise.reject(new Error("bad loss"))),
    })),
    says: /expected the loss's own error, got Error: bad loss/,
  },
  "an aborted gradient leaves no tensors behind": { mutant: "what was begun stays", make: aborted, says },
  "a step leaves no tensors behind": {
    mutant: stays,
    make: leaky((model, leak) => ({
      step: (x, loss, options) => {
        leak();
        return model.step(x, loss, options);
      },
    })),
    says,
  },
  "parameterGradients and apply leave no tensors behind": {
    mutant: "the gradients stay on the device",
    make: leaky((model, leak) => ({
      apply: (gradients, options) => {
        leak();
        return model.apply(gradients, options);
      },
    })),
    says,
  },
  "snapshot and restore leave no tensors behind": {
    mutant: "the old weights stay",
    make: leaky((model, leak) => ({
      restore: (snapshot) => {
        leak();
        return model.restore(snapshot);
      },
    })),
    says,
  },
  "a step whose loss throws leaves no tensors behind": { mutant: "the logits stay", make: thrown, says },
  "an aborted step leaves no tensors behind": { mutant: "what was begun stays", make: aborted, says },
  "a model that was made, used and disposed of leaves no tensors behind": {
    mutant: "weights that nobody frees",
    make: (): TrainableClassifier => {
      engine.tensors += 1;
      return good();
    },
    says,
  },
};
