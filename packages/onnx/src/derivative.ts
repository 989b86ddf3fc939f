import type { Builder } from "./builder.ts";
import type { ElementType, Node, Tensor } from "./graph.ts";

/** The length of an axis: a number, or `scale * n + offset` for a batch of n. */
export type Dim = number | { readonly scale: number; readonly offset: number };

/** What is known of a value: from a trial run, so that shapes computed by the graph itself are known, too. */
export interface ValueType {
  readonly dtype: ElementType;
  readonly shape: readonly Dim[];
}

/** What the derivative of one node is written with. */
export interface DerivativeContext {
  readonly node: Node;
  readonly b: Builder;
  /** Version of ONNX's operator set that the graph is written in. */
  readonly opset: number;
  /** What is known of a value of the original graph. */
  type(name: string): ValueType;
  /** The value of a constant of the original graph (an initializer, or what follows from initializers only). */
  constant(name: string): Tensor | undefined;
  /** Whether the derivative with respect to input i is asked for; others may be left undefined. */
  needs(i: number): boolean;
}

/**
 * The reverse-mode derivative of an operator: writes nodes that compute the cotangents of the inputs from those of the
 * outputs. `dys[j]` is undefined where output j does not matter. Inputs and outputs of the node itself may be used:
 * `node.inputs[i]`, `node.outputs[j]`. Written with operators that have a derivative themselves wherever second
 * derivatives make sense.
 *
 * @returns a name for each input, of the input's shape, or undefined where the derivative is zero or not asked for
 */
export type Derivative = (
  context: DerivativeContext,
  dys: readonly (string | undefined)[],
) => readonly (string | undefined)[];

/** The derivatives of a family of operators, by operator name. */
export type Derivatives = Readonly<Record<string, Derivative>>;
