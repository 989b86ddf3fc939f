import { type Json, parseJson } from "@parapet/attestation";
import { checkNames } from "../names.ts";
import { kindOf, problem, shown } from "../problem.ts";
import { typed } from "./byte-source.ts";
import { malformed, objectOf, tooLarge, unsupported } from "./errors.ts";

/** Bytes of one element as it is stored. Texts have lengths of their own. */
const bytesOf: Readonly<Record<string, number>> = { float32: 4, int32: 4, bool: 1, complex64: 8 };
/** Bytes of one element of a weight that is stored with fewer bits than it has. */
const quantizedBytes: Readonly<Record<string, number>> = { uint8: 1, uint16: 2, float16: 2 };

/** One weight of a model of TensorFlow.js. */
export interface WeightEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes that it takes in the files; undefined for texts, which say their lengths themselves. */
  readonly bytes: number | undefined;
}

/** Weights that lie one behind the other in files, which are read one behind the other. */
export interface WeightGroup {
  /** Relative to the folder of model.json. */
  readonly paths: readonly string[];
  readonly weights: readonly WeightEntry[];
  /** Bytes of all files together; undefined where a weight is of texts. */
  readonly bytes: number | undefined;
}

/** A model.json whose files of weights are known to lie beside it. */
export interface ModelJson {
  /** Everything it says, as TensorFlow.js reads it. */
  readonly json: Readonly<Record<string, Json>>;
  readonly groups: readonly WeightGroup[];
  /** All files of weights, in their order. */
  readonly paths: readonly string[];
}

/** Options of `readModelJson`. */
export interface ModelJsonOptions {
  /** Bytes of each file of weights, where they are known: each group must be as long as its weights. */
  readonly sizes?: Readonly<Record<string, number>>;
  /** Default 64 MiB. */
  readonly maxBytes?: number;
}

/** Weights and files in all groups together. */
const MOST = 1 << 18;

/**
 * Reads a model.json of TensorFlow.js. Its files of weights lie below it, whoever resolves their names: no `..`, no address,
 * nothing that an address could mean by `%`, `?` or `#`, and no file twice. Each weight has a size, and no name twice.
 *
 * @param source - the file: UTF-8
 * @param options - sizes of the files of weights
 * @returns what it says, and the files that it names
 * @throws ParapetError `model-signing/name` for a path that could lead elsewhere; `model-signing/container-malformed`,
 *   `/container-unsupported` or `/container-too-large`
 *
 * @example
 * ```ts
 * import { readModelJson } from "@parapet/model-signing/containers";
 * const weights = [{ name: "dense/kernel", dtype: "float32", shape: [3, 2] }];
 * const text = JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths: ["weights.bin"], weights }] });
 * const { paths, groups } = readModelJson(new TextEncoder().encode(text), { sizes: { "weights.bin": 24 } });
 * console.log(paths[0], groups[0]!.bytes); // => weights.bin 24
 * ```
 *
 * Source: TensorFlow.js 4.22, `io.ModelJSON`, `io.WeightsManifestConfig` and `decodeWeights`.
 */
export function readModelJson(source: Uint8Array, options: ModelJsonOptions = {}): ModelJson {
  const { sizes, maxBytes = 1 << 26 } = options;
  const json = objectOf(
    "model.json",
    typed("model.json", () => parseJson(source, { maxBytes })),
  );
  const manifest = Object.hasOwn(json, "weightsManifest") ? json.weightsManifest : undefined;
  if (!Array.isArray(manifest)) throw malformed("weightsManifest", "a list", kindOf(manifest));
  const groups = (manifest as readonly Json[]).map(readGroup);
  const paths = groups.flatMap((group) => group.paths);
  const weights = groups.flatMap((group) => group.weights);
  if (paths.length + weights.length > MOST)
    throw tooLarge("weightsManifest", `at most ${MOST} files and weights`, paths.length + weights.length);
  checkNames(paths);
  const names = new Set<string>();
  for (const { name } of weights) {
    if (names.has(name)) throw malformed("weightsManifest", `${shown(name)} once`, "it twice");
    names.add(name);
  }
  if (sizes !== undefined) for (const group of groups) checkSizes(group, sizes);
  return { json, groups, paths };
}

function readGroup(value: Json, index: number): WeightGroup {
  const where = `group ${index} of weightsManifest`;
  const { paths, weights } = objectOf(where, value);
  if (!Array.isArray(paths)) throw malformed(`${where}, paths,`, "a list", kindOf(paths));
  if (!Array.isArray(weights)) throw malformed(`${where}, weights,`, "a list", kindOf(weights));
  for (const path of paths as readonly Json[]) {
    if (typeof path !== "string") throw malformed(`${where}, paths,`, "texts", kindOf(path));
    if (/[%?#]|^[a-z][a-z0-9+.-]*:/i.test(path))
      throw problem(
        "model-signing/name",
        `file name ${shown(path)} expected a path without "%", "?" and "#", and no address: two readers could take it for two files`,
      );
  }
  const read = (weights as readonly Json[]).map((weight) => readWeight(where, weight));
  const unknown = read.some(({ bytes }) => bytes === undefined);
  const bytes = unknown ? undefined : read.reduce((sum, weight) => sum + weight.bytes!, 0);
  if (bytes !== undefined && !Number.isSafeInteger(bytes)) throw tooLarge(where, "fewer bytes", bytes);
  return { paths: paths as readonly string[], weights: read, bytes };
}

function readWeight(group: string, value: Json): WeightEntry {
  const { name, dtype, shape, quantization } = objectOf(`a weight of ${group}`, value);
  if (typeof name !== "string") throw malformed(`a weight of ${group}`, "a name", kindOf(name));
  if (name === "__proto__") throw malformed(group, "names that an object can have", shown(name));
  const where = `weight ${shown(name)}`;
  if (typeof dtype !== "string") throw malformed(where, "a dtype", kindOf(dtype));
  if (!Array.isArray(shape)) throw malformed(`${where}, shape,`, "a list", kindOf(shape));
  let count = 1;
  for (const length of shape as readonly Json[]) {
    if (typeof length !== "number" || !Number.isSafeInteger(length) || length < 0)
      throw malformed(`${where}, shape,`, "whole numbers >= 0", kindOf(length));
    count *= length;
    if (!Number.isSafeInteger(8 * count)) throw tooLarge(where, "fewer elements", count);
  }
  const size = quantization === undefined ? plainSize(where, dtype) : quantizedSize(where, dtype, quantization);
  return { name, dtype, shape: shape as readonly number[], bytes: size === undefined ? undefined : count * size };
}

function plainSize(where: string, dtype: string): number | undefined {
  if (dtype === "string") return undefined;
  if (!Object.hasOwn(bytesOf, dtype))
    throw unsupported(where, `one of the types ${Object.keys(bytesOf).join(", ")}, string`, shown(dtype));
  return bytesOf[dtype];
}

function quantizedSize(where: string, dtype: string, value: Json): number {
  const { dtype: stored, scale, min } = objectOf(`${where}, quantization,`, value);
  if (typeof stored !== "string" || !Object.hasOwn(quantizedBytes, stored))
    throw unsupported(where, `a quantization to ${Object.keys(quantizedBytes).join(", ")}`, kindOf(stored));
  if (dtype !== "float32" && (dtype !== "int32" || stored === "float16"))
    throw unsupported(where, "numbers that can be quantized", shown(dtype));
  if (stored !== "float16" && (typeof scale !== "number" || typeof min !== "number"))
    throw malformed(`${where}, quantization,`, "a scale and a min", `${kindOf(scale)} and ${kindOf(min)}`);
  return quantizedBytes[stored]!;
}

function checkSizes({ paths, weights, bytes }: WeightGroup, sizes: Readonly<Record<string, number>>): void {
  let total = 0;
  for (const path of paths) {
    const size = Object.hasOwn(sizes, path) ? sizes[path] : undefined;
    if (size === undefined)
      throw problem(
        "model-signing/missing",
        `${shown(path)} expected to be there, as model.json names it; got nothing`,
      );
    total += size;
  }
  const files = `files ${paths.slice(0, 3).map(shown).join(", ")}${paths.length > 3 ? ", ..." : ""}`;
  if (bytes !== undefined && total !== bytes) throw malformed(files, `${bytes} bytes, by their weights,`, `${total}`);
  // A text takes four bytes for its length.
  const least = weights.reduce((sum, { bytes, shape }) => sum + (bytes ?? 4 * shape.reduce((a, b) => a * b, 1)), 0);
  if (total < least) throw malformed(files, `at least ${least} bytes, by their weights,`, `${total}`);
}
