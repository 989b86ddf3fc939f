import { createQueue, expected, ParapetError, type Queue } from "@parapet/core";
import type { ElementType, Graph, Model, Node, Tensor, ValueInfo } from "./graph.ts";
import type { OnnxErrorCode } from "./problem.ts";
import type { ReadValueInfo } from "./proto/types.ts";
import { writeModel } from "./proto/write.ts";

/** A tensor of onnxruntime, structurally. */
export interface RuntimeTensor {
  readonly type: string;
  readonly data: unknown;
  readonly dims: readonly number[];
  /** "cpu", or the device that holds the numbers. */
  readonly location?: string;
  /** Brings the numbers to the CPU; `true` frees them where they were. */
  getData?(release?: boolean): Promise<unknown>;
}

/** A session of onnxruntime, structurally. */
export interface RuntimeSession {
  readonly outputMetadata?: readonly OutputInfo[];
  run(
    feeds: Readonly<Record<string, RuntimeTensor>>,
    fetches?: readonly string[] | Readonly<Record<string, RuntimeTensor | null>>,
  ): Promise<Readonly<Record<string, RuntimeTensor>>>;
  release(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: onnxruntime-node and onnxruntime-web state their own kinds, each other's not
type Theirs = any;

/** What is used of the namespace of `onnxruntime-node` or `onnxruntime-web`: the caller's own, of any 1.x. */
export interface OnnxRuntime {
  readonly InferenceSession: { create(bytes: Uint8Array, options?: Theirs): Promise<Theirs> };
  readonly Tensor: new (type: Theirs, data: Theirs, dims: readonly number[]) => Theirs;
}

/** Options of the sessions, handed to onnxruntime as they are: threads, execution providers, ... */
export type SessionOptions = Readonly<Record<string, unknown>>;

/** What a run gives, by name. */
export type Results = Readonly<Record<string, RuntimeTensor>>;

/** What is known of an output before a run: nothing where it is no tensor, and texts for lengths that are not known. */
export interface OutputInfo {
  readonly name: string;
  readonly type?: string;
  readonly shape?: readonly (number | string)[];
}

/** A graph that runs. */
export interface Program {
  readonly outputs: readonly OutputInfo[];
  run(
    feeds: Readonly<Record<string, RuntimeTensor>>,
    fetches?: Readonly<Record<string, RuntimeTensor | null>>,
  ): Promise<Results>;
  release(): Promise<void>;
}

/** Starts a session for a graph; what does not lead to its outputs is left out. */
export async function startProgram(
  runtime: OnnxRuntime,
  model: Model,
  graph: Graph,
  options: SessionOptions | undefined,
): Promise<Program> {
  const bytes = writeModel({ ...model, graph: withoutDropout(pruned(graph)) });
  const turn = turnsOf(runtime);
  let session: RuntimeSession;
  try {
    // A copy: onnxruntime-web writes into the options.
    session = (await turn(() => runtime.InferenceSession.create(bytes, { ...options }))) as RuntimeSession;
  } catch (cause) {
    throw runtimeError("a graph that onnxruntime accepts", cause);
  }
  let released = false;
  return {
    outputs: session.outputMetadata ?? [],
    async run(feeds, fetches) {
      try {
        return await turn(async () => {
          const results = await (fetches === undefined ? session.run(feeds) : session.run(feeds, fetches));
          for (const tensor of Object.values(results)) {
            if ((tensor.location ?? "cpu") !== "cpu") await tensor.getData?.(true);
          }
          return results;
        });
      } catch (cause) {
        throw runtimeError("a graph that onnxruntime can run", cause);
      }
    },
    async release() {
      if (released) return;
      released = true;
      await turn(() => session.release());
    },
  };
}

const turns = new WeakMap<object, Queue>();

/** One call of onnxruntime at a time, whichever model makes it: in a browser calls that overlap disturb each other. */
function turnsOf({ InferenceSession }: OnnxRuntime): Queue {
  const turn = turns.get(InferenceSession) ?? createQueue();
  turns.set(InferenceSession, turn);
  return turn;
}

function runtimeError(what: string, cause: unknown): ParapetError<OnnxErrorCode> {
  const message = cause instanceof Error ? cause.message : String(cause);
  return new ParapetError("onnx/runtime", expected("model", what, message), { cause });
}

/** The nodes and initializers that lead to the outputs. */
export function pruned(graph: Graph): Graph {
  const wanted = new Set(graph.outputs.map(({ name }) => name));
  const nodes: Node[] = [];
  for (let i = graph.nodes.length - 1; i >= 0; i--) {
    const node = graph.nodes[i]!;
    if (!node.outputs.some((output) => wanted.has(output))) continue;
    nodes.push(node);
    for (const name of captured(node)) wanted.add(name);
  }
  const initializers = new Map([...graph.initializers].filter(([name]) => wanted.has(name)));
  return { ...graph, nodes: nodes.reverse(), initializers };
}

/** Dropout that drops nothing as what it is: onnxruntime-web's build for WebGPU does not have the operator. */
function withoutDropout(graph: Graph): Graph {
  const nodes = graph.nodes.map((node): Node => {
    const idle = (node.inputs[2] ?? "") === "" && (node.outputs[1] ?? "") === "";
    if (node.op !== "Dropout" || node.domain !== "" || !idle) return node;
    const { outputs } = node;
    return { ...node, op: "Identity", inputs: node.inputs.slice(0, 1), outputs: outputs.slice(0, 1), attributes: {} };
  });
  return { ...graph, nodes };
}

/** All names that a node reads, those within its subgraphs included. */
export function captured(node: Node): string[] {
  const names = node.inputs.filter((name) => name !== "");
  for (const attribute of Object.values(node.attributes)) {
    if (attribute.kind === "graph") for (const inner of attribute.value.nodes) names.push(...captured(inner));
  }
  return names;
}

/** An input or output of a graph whose shape is left to the runtime. */
export function value(name: string, dtype: ElementType = "float32", shape?: ValueInfo["shape"]): ValueInfo {
  return { name, dtype, shape };
}

/** An output whose dtype and shape the runtime infers: a type that is stated must be right. */
export function untyped(name: string): ValueInfo {
  return { name, dtype: "float32", shape: undefined, type: new Uint8Array(0) } as ReadValueInfo;
}

/** A constant as the runtime takes it. */
export function toRuntime(runtime: OnnxRuntime, { dtype, shape, data }: Tensor): RuntimeTensor {
  return new runtime.Tensor(dtype, data, shape) as RuntimeTensor;
}
