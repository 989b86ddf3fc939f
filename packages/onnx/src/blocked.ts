import { type Builder, createBuilder } from "./builder.ts";
import type { Dim, ValueType } from "./derivative.ts";
import { type Attribute, attribute, int, type Node } from "./graph.ts";
import { type OnnxRuntime, type SessionOptions, startProgram, toRuntime, untyped, value } from "./runtime.ts";

/*
 * onnxruntime's CPU kernels convolve fastest where `block` channels lie side by side (16 with AVX-512, 8 with AVX2). By
 * itself it takes them only where the filter is a constant; while training the filters are inputs. So these convolutions
 * are written with its internal operators here, where a trial shows that they are there and compute what they should.
 */

/** The domain of onnxruntime's operators on blocks of channels. */
const blockedDomain = "com.microsoft.nchwc";

/** The operator sets, and the one of blocks. */
export const withBlocks = (opsets: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
  new Map([...opsets, [blockedDomain, 1]]);

const sizes = new WeakMap<object, Promise<number>>();

/** How many channels a block has, or 0 where blocked convolutions are not to be had. */
export function blockOf(runtime: OnnxRuntime, session: SessionOptions | undefined): Promise<number> {
  const providers = session?.executionProviders as readonly unknown[] | undefined;
  if (providers?.some((provider) => provider !== "cpu")) return Promise.resolve(0);
  const known = sizes.get(runtime.InferenceSession) ?? trial(runtime).catch(() => 0);
  sizes.set(runtime.InferenceSession, known);
  return known;
}

/** Asks for the layout of a small image, then convolves one both ways. */
async function trial(runtime: OnnxRuntime): Promise<number> {
  const numbers = (shape: readonly number[]) => {
    const size = shape.reduce((product, length) => product * length, 1);
    return toRuntime(runtime, {
      dtype: "float32",
      shape,
      data: Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
    });
  };
  const run = async (
    shapes: Readonly<Record<string, readonly number[]>>,
    block: number,
    write: (b: Builder) => string[],
  ) => {
    const b = createBuilder(Object.keys(shapes), block);
    const outputs = write(b);
    const { nodes, initializers } = b;
    const inputs = Object.entries(shapes).map(([name, shape]) => value(name, "float32", shape));
    const graph = { name: "trial", inputs, outputs: outputs.map(untyped), initializers, nodes };
    const model = { irVersion: 8, opsets: withBlocks(new Map([["", 18]])), producer: "", graph };
    const program = await startProgram(runtime, model, graph, { logSeverityLevel: 4 });
    try {
      const found = await program.run(
        Object.fromEntries(Object.entries(shapes).map(([name, s]) => [name, numbers(s)])),
      );
      return outputs.map((name) => found[name]!);
    } finally {
      await program.release();
    }
  };
  const [image] = await run({ x: [1, 4, 1, 1] }, 0, (b) => [reordered(b, "x")]);
  const block = image!.dims[1]!;
  if (block <= 4) return 0;
  const window = { pads: attribute.ints([1, 1, 1, 1]), strides: attribute.ints([2, 1]) };
  const shapes = {
    x: [2, 2 * block, 5, 6],
    w: [block, 2 * block, 3, 3],
    narrow: [3 * block, 3, 3, 3],
    rgb: [2, 3, 5, 6],
  };
  const found = await run(shapes, block, (b) => [
    convolution(b, ["x", "w"], shapes.w, window),
    b.add("Conv", ["x", "w"], window),
    convolution(b, ["rgb", "narrow"], shapes.narrow, window),
    b.add("Conv", ["rgb", "narrow"], window),
  ]);
  const [wide, plainWide, narrow, plainNarrow] = found.map(({ data }) => data as Float32Array);
  const far = (a: Float32Array, b: Float32Array) =>
    !(a.length === b.length && a.every((v, i) => Math.abs(v - b[i]!) < 1e-3));
  return far(wide!, plainWide!) || far(narrow!, plainNarrow!) ? 0 : block;
}

const isStatic = (dim: Dim): dim is number => typeof dim === "number";

const reordered = (b: Builder, x: string): string => b.addMany("ReorderInput", [x], 1, {}, blockedDomain)[0]!;

/**
 * Whether a convolution is written blocked. Milliseconds of one core for the plain one and for the blocked one with all
 * reordering (AVX-512): 64 channels to 64, 3x3, 8 x 56x56: 11.4, 9.5; 128 at 28x28: 10.0, 9.3; 256 at 14x14: 9.9, 8.7;
 * but 512 at 7x7, where the filter is as large as the images: 11.3, 13.1; 3 to 64, 7x7, 8 x 224x224: 17.3, 12.9; 32 to
 * 64, 5x5, 64 x 14x14: 9.0, 7.5; 64 to 32: 11.9, 8.6.
 */
export function isBlockable(block: number, filter: readonly number[], group: number): boolean {
  if (block === 0 || filter.length !== 4 || group !== 1) return false;
  const [filters, channels, height, width] = filter as [number, number, number, number];
  const fits = filters % block === 0 && (channels < block || channels % block === 0);
  return fits && filters * channels * height * width < 2 ** 20;
}

/** A blocked Conv of `[x, w, bias?]`, from and to the plain layout. */
export function convolution(
  b: Builder,
  [x, w, bias]: readonly string[],
  filter: readonly number[],
  attributes: Readonly<Record<string, Attribute>>,
): string {
  const { block } = b;
  const [filters, channels, ...kernel] = filter as [number, number, number, number];
  const few = channels < block;
  const taps = kernel[0]! * kernel[1]!;
  const swapped = (value: string, shape: readonly number[]): string =>
    b.add("Transpose", [b.add("Reshape", [value, b.int64(shape)])], { perm: attribute.ints([0, 2, 1]) });
  // [filters / block, channels / block, kernel, channels of the block, filters of the block]: two exchanges of two axes,
  // three times as fast as one Transpose.
  const inner = few ? w! : swapped(w!, [(filters * channels) / block, block, taps]);
  const outer = swapped(inner, [filters / block, block, channels * taps]);
  const laidOut = b.add("Reshape", [outer, b.int64(filter)]);
  const inputs = [few ? x! : reordered(b, x!), laidOut, ...(bias === undefined || bias === "" ? [] : [bias])];
  const all = { kernel_shape: attribute.ints(kernel), ...attributes };
  const [y] = b.addMany("Conv", inputs, 1, all, blockedDomain);
  return b.addMany("ReorderOutput", [y!], 1, { channels: attribute.int(filters) }, blockedDomain)[0]!;
}

/**
 * Copies a graph's nodes, with the convolutions blocked whose filters are not constant. A Relu that is all that follows
 * one is computed with it.
 */
export function copyBlocked(
  b: Builder,
  nodes: readonly Node[],
  types: ReadonlyMap<string, ValueType>,
  isConstant: (name: string) => boolean,
  kept: ReadonlySet<string>,
): void {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) for (const name of node.inputs) readers.set(name, [...(readers.get(name) ?? []), node]);
  const done = new Set<Node>();
  for (const node of nodes) {
    if (done.has(node)) continue;
    const { op, domain, inputs, outputs } = node;
    const [, w = ""] = inputs;
    const filter = types.get(w)?.shape ?? [];
    const plain = op !== "Conv" || domain !== "" || isConstant(w) || !filter.every(isStatic);
    if (plain || !isBlockable(b.block, filter, int(node, "group", 1))) {
      b.copy(node);
      continue;
    }
    const [y] = outputs as [string];
    const [next, ...others] = readers.get(y) ?? [];
    const joined = next?.op === "Relu" && others.length === 0 && !kept.has(y);
    if (joined) done.add(next);
    const activation = joined ? { activation: attribute.string("Relu") } : {};
    const found = convolution(b, inputs, filter, { ...node.attributes, ...activation });
    b.copy({ ...node, op: "Identity", inputs: [found], outputs: joined ? next.outputs : outputs, attributes: {} });
  }
}
