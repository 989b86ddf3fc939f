import {
  type Bounds,
  boundsOf,
  type CallOptions,
  checkInput,
  checkLossRows,
  checkNumber,
  createQueue,
  type DifferentiableClassifier,
  expected,
  type GradientResult,
  type Linearization,
  labelsOf,
  type NdArray,
  ParapetError,
  type Queue,
  sizeOf,
} from "@parapet/core";
import * as tf from "@tensorflow/tfjs-core";
import { backendReady, explained, type TfjsErrorCode } from "./problem.ts";
import { pullback, type Recording, record, release } from "./tape.ts";

/** How the engine sees a model, wherever it comes from. */
export interface Source {
  readonly inputShape: readonly number[];
  /** Columns of the output: 1 for a single logit. */
  readonly outputSize: number;
  readonly bounds: Bounds;
  /** Logits of a batch. Synchronous; called inside a tidy. */
  forward(x: tf.Tensor, mode: Mode): tf.Tensor;
  /** Tells whether the model's weights are gone. */
  isDisposed(): boolean;
  /** What moves though nobody trains it (batch-norm statistics), by name. */
  readonly buffers: ReadonlyMap<string, tf.Variable>;
}

export interface Mode {
  readonly training: boolean;
  readonly keys: Uint32Array | undefined;
}

/** One forward pass, its logits read back. */
export interface Pass {
  readonly recording: Recording;
  readonly x: tf.Tensor;
  readonly logits: NdArray;
}

export interface Engine {
  readonly source: Source;
  readonly queue: Queue;
  /** Runs the model, keeping what a backward pass needs. The caller frees the pass with `free`. */
  forward(x: NdArray, mode: Mode, options?: { readonly parts?: number; readonly keepBuffers?: boolean }): Promise<Pass>;
  /** The cotangent of the logits as a tensor of the output's shape. */
  cotangentTensor(cotangent: NdArray): tf.Tensor;
}

export function createEngine(source: Source): Engine {
  const { inputShape, outputSize, bounds } = source;
  boundsOf(bounds, sizeOf(inputShape));
  checkNumber("number of logits", outputSize, { min: 1, integer: true });
  const inOrder = createQueue();

  return {
    source,
    queue: (task, signal) =>
      inOrder(async () => {
        await backendReady();
        if (source.isDisposed()) {
          throw new ParapetError<TfjsErrorCode>(
            "tfjs/model-disposed",
            expected("model", "one that is alive", "a disposed one"),
          );
        }
        try {
          return await task();
        } catch (error) {
          throw explained(error);
        }
      }, signal),

    async forward(x, mode, { parts = 1, keepBuffers = true } = {}) {
      // A copy: the cpu backend would alias the caller's array.
      const input = tf.tensor(x.data.slice(), [...x.shape]);
      let recording: Recording | undefined;
      try {
        const run = () => record(() => forwardParts(source, input, mode, parts));
        recording = mode.training && keepBuffers ? restoringBuffers(source.buffers, run) : run();
        const logits = await readLogits(recording.output, x.shape[0]!, outputSize);
        return { recording, x: input, logits };
      } catch (error) {
        input.dispose();
        if (recording !== undefined) release(recording);
        throw error;
      }
    },

    cotangentTensor({ data, shape }) {
      if (outputSize > 1) return tf.tensor(data.slice(), [...shape]);
      // The single logit is the second of the two that the world sees.
      return tf.tensor(
        Float32Array.from({ length: shape[0]! }, (_, i) => data[2 * i + 1]!),
        [shape[0]!, 1],
      );
    },
  };
}

export function free({ recording, x }: Pass): void {
  release(recording);
  x.dispose();
}

export function differentiable(engine: Engine): DifferentiableClassifier {
  const { source, queue } = engine;
  const { inputShape, bounds } = source;
  const numClasses = Math.max(2, source.outputSize);
  const check = (x: NdArray) => checkInput({ inputShape, bounds }, x, { withinBounds: false });

  const logits = async (x: NdArray, options: CallOptions = {}): Promise<NdArray> => {
    const batch = check(x);
    const mode = modeOf(options, batch);
    return queue(async () => {
      const run = () => tf.tidy(() => source.forward(tf.tensor(batch.data.slice(), [...batch.shape]), mode));
      const output = mode.training ? restoringBuffers(source.buffers, run) : run();
      try {
        return await readLogits(output, batch.shape[0]!, source.outputSize);
      } finally {
        output.dispose();
      }
    }, options.signal);
  };

  return {
    inputShape,
    numClasses,
    bounds,
    logits,

    async labels(x, options) {
      return labelsOf(await logits(x, options));
    },

    async gradient(x, loss, options = {}): Promise<GradientResult> {
      const batch = check(x);
      checkLossRows(batch, loss);
      const mode = modeOf(options, batch);
      return queue(async () => {
        const pass = await engine.forward(batch, mode);
        try {
          const value = loss.value(pass.logits);
          const gradient = await pullToInput(engine, pass, loss.cotangent(pass.logits));
          return { logits: pass.logits, value, gradient };
        } finally {
          free(pass);
        }
      }, options.signal);
    },

    async linearize(x, options = {}): Promise<Linearization> {
      const batch = check(x);
      const mode = modeOf(options, batch);
      const pass = await queue(() => engine.forward(batch, mode), options.signal);
      let released = false;
      let pending = 0;
      const freeWhenIdle = () => {
        if (released && pending === 0) free(pass);
      };
      return {
        logits: pass.logits,
        async pullback(cotangent) {
          if (released) throw new TypeError(expected("linearization", "one that is not released", "a released one"));
          const { dtype, shape } = cotangent;
          if (dtype !== "float32" || shape.length !== 2 || shape[0] !== batch.shape[0] || shape[1] !== numClasses) {
            throw new TypeError(
              expected("cotangent", `float32 [${batch.shape[0]}, ${numClasses}]`, `${dtype} [${shape}]`),
            );
          }
          pending++;
          try {
            return await queue(() => pullToInput(engine, pass, cotangent), options.signal);
          } finally {
            pending--;
            freeWhenIdle();
          }
        },
        release() {
          if (released) return;
          released = true;
          freeWhenIdle();
        },
      };
    },
  };
}

export function modeOf({ mode = "inference", keys }: CallOptions, x: NdArray): Mode {
  if (mode !== "inference" && mode !== "training")
    throw new TypeError(expected("mode", '"inference" or "training"', mode));
  if (keys !== undefined && keys.length !== x.shape[0]) {
    throw new TypeError(expected("keys", `${x.shape[0]} keys, one a row`, keys.length));
  }
  return { training: mode === "training", keys };
}

async function pullToInput(engine: Engine, pass: Pass, cotangent: NdArray): Promise<NdArray> {
  const dy = engine.cotangentTensor(cotangent);
  let gradient: tf.Tensor | undefined;
  try {
    [gradient] = pullback(pass.recording, dy, [pass.x]) as [tf.Tensor];
    return await readArray(gradient);
  } finally {
    dy.dispose();
    gradient?.dispose();
  }
}

/** Copies a tensor out. */
export async function readArray(tensor: tf.Tensor): Promise<NdArray> {
  // data() rather than dataSync(), which is silently wrong on WebGPU; slice(), because the cpu backend gives its own buffer.
  const data = ((await tensor.data()) as Float32Array).slice();
  return { dtype: "float32", shape: [...tensor.shape], data };
}

async function readLogits(output: tf.Tensor, n: number, outputSize: number): Promise<NdArray> {
  if (output.rank !== 2 || output.shape[0] !== n || output.shape[1] !== outputSize || output.dtype !== "float32") {
    throw new TypeError(
      expected("logits of the model", `float32 [${n}, ${outputSize}]`, `${output.dtype} [${output.shape}]`),
    );
  }
  const { data } = await readArray(output);
  if (outputSize > 1) return { dtype: "float32", shape: [n, outputSize], data };
  const pairs = new Float32Array(2 * n);
  for (let i = 0; i < n; i++) pairs[2 * i + 1] = data[i]!;
  return { dtype: "float32", shape: [n, 2], data: pairs };
}

/** Each part of the batch by itself, so that batch-norm sees one part at a time. */
function forwardParts(source: Source, x: tf.Tensor, mode: Mode, parts: number): tf.Tensor {
  if (parts === 1) return source.forward(x, mode);
  const rows = x.shape[0]! / parts;
  const rest = x.shape.slice(1);
  return tf.concat(
    Array.from({ length: parts }, (_, part) => {
      const slice = tf.slice(x, [part * rows, ...rest.map(() => 0)], [rows, ...rest]);
      return source.forward(slice, { ...mode, keys: mode.keys?.slice(part * rows, (part + 1) * rows) });
    }),
  );
}

/** A mere look in training mode moves the statistics of batch-norm layers: put them back. */
function restoringBuffers<T>(buffers: ReadonlyMap<string, tf.Variable>, f: () => T): T {
  const before = copyBuffers(buffers);
  try {
    return f();
  } finally {
    before.restore();
    before.dispose();
  }
}

/** The buffers as they are now; `dispose` it. */
export function copyBuffers(buffers: ReadonlyMap<string, tf.Variable>): { restore(): void; dispose(): void } {
  const copies = [...buffers.values()].map((variable) => [variable, tf.keep(tf.clone(variable))] as const);
  return {
    restore() {
      for (const [variable, copy] of copies) variable.assign(copy);
    },
    dispose() {
      for (const [, copy] of copies) copy.dispose();
    },
  };
}
