import * as tf from "@tensorflow/tfjs-core";
import { stubbed } from "./unneeded.ts";

/** One recorded operation, as tfjs-core 4.x keeps it. */
interface TapeNode {
  readonly id: number;
  readonly kernelName: string;
  readonly inputs: Readonly<Record<string, tf.Tensor>>;
  readonly outputs: readonly tf.Tensor[];
  readonly gradient?: (dys: (tf.Tensor | null)[]) => Record<string, () => tf.Tensor>;
  readonly saved: readonly tf.Tensor[];
}

/** The part of the engine's state that a recording uses: typed by tfjs, but not documented. Pinned by a test. */
interface EngineState {
  activeTape: TapeNode[] | null;
  gradientDepth: number;
}

/** A forward pass that can be pulled back many times, and must be released once. */
export interface Recording {
  /** The result of the recorded function. */
  readonly output: tf.Tensor;
  readonly nodes: readonly TapeNode[];
}

/**
 * Runs `f` and keeps what a backward pass needs. Nothing is asynchronous here, so no other call can end up on the tape;
 * the backward pass may come whenever the loss is known. Nothing is left behind when `f` throws.
 */
export function record(f: () => tf.Tensor): Recording {
  const state = tf.engine().state as unknown as EngineState;
  if (state.gradientDepth !== 0) {
    throw new TypeError("a model of @parapet/tfjs cannot be called inside tf.grad(); call its gradient() instead");
  }
  const nodes: TapeNode[] = [];
  state.activeTape = nodes;
  state.gradientDepth++;
  try {
    return { output: tf.tidy(() => tf.keep(f())), nodes };
  } catch (error) {
    dispose(nodes);
    throw error;
  } finally {
    state.gradientDepth--;
    state.activeTape = null;
  }
}

/**
 * Pulls a cotangent of the output back to `xs`. Synchronous, and repeatable until the recording is released.
 * Derivatives that nobody asked for are not computed: an input gradient never pays for filter gradients.
 *
 * @returns one tensor for each of `xs`, zeros where the output does not depend on it; the caller disposes them
 */
export function pullback(recording: Recording, cotangent: tf.Tensor, xs: readonly tf.Tensor[]): tf.Tensor[] {
  const { nodes, output } = recording;
  const wanted = new Set(xs.map((x) => x.id));
  const reached = new Set(wanted);
  const fromX = nodes.filter((node) => {
    const depends = Object.values(node.inputs).some((input) => reached.has(input.id));
    if (depends) for (const y of node.outputs) reached.add(y.id);
    return depends;
  });
  return tf.tidy(() => {
    const gradients = new Map<number, tf.Tensor>([[output.id, cotangent]]);
    for (let i = fromX.length - 1; i >= 0; i--) {
      const node = fromX[i]!;
      const dys = node.outputs.map((y) => gradients.get(y.id) ?? null);
      if (dys.every((dy) => dy === null)) continue;
      if (node.gradient === undefined) {
        throw new Error(`Cannot compute gradient: gradient function not found for ${node.kernelName}.`);
      }
      const needed = Object.keys(node.inputs).filter((name) => reached.has(node.inputs[name]!.id));
      const derivatives = stubbed(node, needed, () => {
        const partial = node.gradient!(dys);
        return needed.map((name) => [node.inputs[name]!, tf.tidy(() => partial[name]!())] as const);
      });
      for (const [input, derivative] of derivatives) {
        const before = gradients.get(input.id);
        gradients.set(input.id, before === undefined ? derivative : tf.add(before, derivative));
      }
      // Freed as we go, the next derivative reuses memory that is still in the cache.
      for (const y of node.outputs) {
        const dy = gradients.get(y.id);
        if (dy === undefined || dy === cotangent || wanted.has(y.id)) continue;
        gradients.delete(y.id);
        if (![...gradients.values()].includes(dy)) dy.dispose();
      }
    }
    return xs.map((x) => gradients.get(x.id) ?? tf.zerosLike(x));
  });
}

/** Frees what the recording holds. */
export function release({ output, nodes }: Recording): void {
  output.dispose();
  dispose(nodes);
}

function dispose(nodes: readonly TapeNode[]): void {
  for (const node of nodes) for (const tensor of node.saved) tensor.dispose();
}
