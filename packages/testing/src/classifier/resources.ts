import {
  type CallOptions,
  type Classifier,
  crossEntropy,
  type DifferentiableClassifier,
  type Loss,
  type NdArray,
  type TrainableClassifier,
} from "@parapet/core";
import { demand, failureOf, type Law } from "../law.ts";
import { someCotangent } from "./gradient.ts";
import type { Check, Checks, Subject } from "./subject.ts";

/** A loss that throws where an engine might not expect it. */
function throwing(labels: Int32Array, where: "value" | "cotangent"): Loss {
  const { count, parts, value, cotangent, take } = crossEntropy(labels);
  return { count, parts, value, cotangent, take, [where]: fail } as Loss;
}

function fail(): never {
  throw new Error("thrown by the loss");
}

/** What a call may do without leaving tensors behind. It runs once before the count, for caches to fill. */
function leaves<M extends Classifier>(use: (subject: Subject<M>) => Promise<unknown>): Check<M> {
  return async (subject) => {
    await use(subject);
    const before = subject.tensorCount();
    for (let i = 0; i < 3; i++) await use(subject);
    const after = subject.tensorCount();
    demand(after === before, `tensors alive: expected ${before} as before, got ${after} after 3 calls`);
  };
}

const refusal = (call: () => Promise<unknown>) => failureOf("a call that must fail", call);

const aborted = (): AbortSignal => AbortSignal.abort(new Error("aborted before it began"));

/** Nothing stays behind after a call of a black box. */
export const leaks: Checks<Classifier> = {
  "logits leave no tensors behind": leaves(({ model, x, options }) => model.logits(x, options(x))),
  "labels leave no tensors behind": leaves(({ model, x, options }) => model.labels(x, options(x))),
  "an aborted call leaves no tensors behind": leaves(({ model, x, options }) =>
    refusal(() => model.logits(x, options(x, { signal: aborted() }))),
  ),
  "a refused call leaves no tensors behind": leaves(({ model, x }) =>
    refusal(() => model.logits({ ...x, shape: [0, ...x.shape.slice(1)], data: new Float32Array(0) })),
  ),
};

/** Nothing stays behind after a call of a white box. */
export const gradientLeaks: Checks<DifferentiableClassifier> = {
  "a gradient leaves no tensors behind": leaves(({ model, x, labels, options }) =>
    model.gradient(x, crossEntropy(labels), options(x)),
  ),
  "a gradient of a loss that no engine compiles leaves no tensors behind": leaves(({ model, x, labels, options }) => {
    const { form: _, ...loss } = crossEntropy(labels);
    return model.gradient(x, loss, options(x));
  }),
  "linearize and release leave no tensors behind": leaves(async ({ model, x, options }) => {
    const pass = await model.linearize(x, options(x));
    await pass.pullback(someCotangent(x.shape[0]!, model.numClasses));
    await pass.pullback(someCotangent(x.shape[0]!, model.numClasses));
    pass.release();
  }),
  "a pullback that is refused leaves no tensors behind": leaves(async ({ model, x, options }) => {
    const pass = await model.linearize(x, options(x));
    await refusal(() => pass.pullback(someCotangent(x.shape[0]! + 1, model.numClasses)));
    pass.release();
  }),
  "a loss that throws in value leaves no tensors behind, and its error comes out": leaves(
    async ({ model, x, labels, options }) => {
      const error = await refusal(() => model.gradient(x, throwing(labels, "value"), options(x)));
      demand(/thrown by the loss/.test(String(error)), `expected the loss's own error, got ${error}`);
    },
  ),
  "a loss that throws in cotangent leaves no tensors behind, and its error comes out": leaves(
    async ({ model, x, labels, options }) => {
      const error = await refusal(() => model.gradient(x, throwing(labels, "cotangent"), options(x)));
      demand(/thrown by the loss/.test(String(error)), `expected the loss's own error, got ${error}`);
    },
  ),
  "an aborted gradient leaves no tensors behind": leaves(({ model, x, labels, options }) =>
    refusal(() => model.gradient(x, crossEntropy(labels), options(x, { signal: aborted() }))),
  ),
};

/** Nothing stays behind after training. */
export const trainingLeaks: Checks<TrainableClassifier> = {
  "a step leaves no tensors behind": leaves(({ model, x, labels, options }) =>
    model.step(x, crossEntropy(labels), { ...options(x), inputGradient: true }),
  ),
  "parameterGradients and apply leave no tensors behind": leaves(async ({ model, x, labels, options }) => {
    await model.apply((await model.parameterGradients(x, crossEntropy(labels), options(x))).gradients);
  }),
  "snapshot and restore leave no tensors behind": leaves(async (subject) => {
    const { model, x, labels, options } = subject;
    await model.step(x, crossEntropy(labels), options(x));
    await model.restore(await model.snapshot({ optimizer: true }));
  }),
  "a step whose loss throws leaves no tensors behind": leaves(async ({ model, x, labels, options }) => {
    await refusal(() => model.step(x, throwing(labels, "value"), options(x)));
    await refusal(() => model.step(x, throwing(labels, "cotangent"), options(x)));
  }),
  "an aborted step leaves no tensors behind": leaves(({ model, x, labels, options }) =>
    refusal(() => model.step(x, crossEntropy(labels), options(x, { signal: aborted() }))),
  ),
};

/** Nothing stays behind after a model's life. */
export function lifetimeLeaks<M extends Classifier>(
  make: () => M | Promise<M>,
  dispose: (model: M) => void | Promise<void>,
  tensorCount: () => number,
  x: NdArray,
): Law {
  const live = async () => {
    const model = await make();
    await model.logits(x, { keys: new Uint32Array(x.shape[0]!) });
    await dispose(model);
  };
  return {
    name: "a model that was made, used and disposed of leaves no tensors behind",
    async run() {
      await live();
      const before = tensorCount();
      await live();
      demand(tensorCount() === before, () => `tensors alive: expected ${before} as before, got ${tensorCount()}`);
    },
  };
}

type Call<M extends Classifier> = (subject: Subject<M>, x: NdArray, options: CallOptions) => Promise<unknown>;

const callsOfClassifier: Readonly<Record<string, Call<Classifier>>> = {
  logits: ({ model }, x, options) => model.logits(x, options),
  labels: ({ model }, x, options) => model.labels(x, options),
};

const callsOfWhiteBox: Readonly<Record<string, Call<DifferentiableClassifier>>> = {
  gradient: ({ model, labels }, x, options) => model.gradient(x, crossEntropy(labels), options),
  linearize: async ({ model }, x, options) => (await model.linearize(x, options)).release(),
};

function aborts<M extends Classifier>(calls: Readonly<Record<string, Call<M>>>): Checks<M> {
  const entries = Object.entries(calls).flatMap(([name, call]): (readonly [string, Check<M>])[] => [
    [
      `${name}: an aborted signal rejects with its reason`,
      async (subject) => {
        const { x, options } = subject;
        const signal = aborted();
        const error = await failureOf(`${name} with an aborted signal`, () => call(subject, x, options(x, { signal })));
        demand(error === signal.reason, `${name}: expected the signal's reason, got ${String(error)}`);
        await call(subject, x, options(x, { signal: new AbortController().signal }));
      },
    ],
    [`${name}: a timer can abort a loop of calls`, (subject) => stopsSoon(subject, name, call)],
  ]);
  return Object.fromEntries(entries);
}

/** An engine that never gives timers their turn cannot be stopped from its own thread. */
async function stopsSoon<M extends Classifier>(subject: Subject<M>, name: string, call: Call<M>): Promise<void> {
  const { x, options, patience } = subject;
  const controller = new AbortController();
  const reason = new Error("aborted by a timer");
  const timer = setTimeout(() => controller.abort(reason), 20);
  const start = performance.now();
  try {
    while (performance.now() - start < patience) await call(subject, x, options(x, { signal: controller.signal }));
  } catch (error) {
    demand(error === reason, `${name}: expected the signal's reason, got ${String(error)}`);
    return;
  } finally {
    clearTimeout(timer);
  }
  const why = controller.signal.aborted ? "the signal was not looked at" : "the timer never had its turn";
  throw new Error(`${name}: still running ${patience} ms after it should have stopped; ${why}`);
}

/** Every call of a black box can be stopped. */
export const abort: Checks<Classifier> = aborts(callsOfClassifier);

/** Every call of a white box can be stopped. */
export const gradientAbort: Checks<DifferentiableClassifier> = aborts(callsOfWhiteBox);
