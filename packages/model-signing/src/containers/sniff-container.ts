import { parseJson } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { shown } from "../problem.ts";
import { type ByteSource, sourceOf, typed } from "./byte-source.ts";
import { runsCode, tooLarge } from "./errors.ts";
import { programsInHdf5, programsOfKeras } from "./keras.ts";
import { describePickle, followPickle } from "./pickle.ts";
import { readZip, readZipEntry, unpack, type ZipEntry } from "./zip.ts";

/** Forms of files in which weights come. */
export type ContainerKind =
  | "safetensors"
  | "gguf"
  | "onnx"
  | "numpy"
  | "hdf5"
  | "keras"
  | "pytorch"
  | "pickle"
  | "zip"
  | "tar"
  | "compressed"
  | "json"
  | "unknown";

/** What a file is, and what loading it would run. */
export interface SniffedContainer {
  readonly kind: ContainerKind;
  /** What loading it would run, in words; empty when it holds nothing but data, as far as can be seen. */
  readonly runs: readonly string[];
}

/** Options of `sniffContainer` and `refusePickle`. */
export interface SniffOptions {
  /** The file's name: some are enough for a reader to run what is in it. */
  readonly name?: string;
}

/** Names by which readers in Python unpickle a file. */
const PICKLED = /\.(pkl|pickle|joblib|dill|cloudpickle|pt|pth|ckpt|mar|nemo)$/i;
/** How much of a file in an archive is unpacked. */
const HEAD = 1 << 16;
const PICKLE = 1 << 22;
const CONFIG = 1 << 26;
/** Files of an archive. */
const MEMBERS = 1 << 14;

/**
 * Says in which form the weights of a file are, and whether loading it runs what its author wrote: pickles (of Python, of
 * PyTorch, of joblib, in arrays of NumPy), programs of TorchScript, and functions in models of Keras. A file is judged by its
 * beginning, and by its end, where archives have their list of files.
 *
 * @param source - the file
 * @param options - its name
 * @returns what it is. "unknown" says that no known beginning was met, such as in weights without any header
 * @throws ParapetError `model-signing/container-malformed` for an archive in which two readers could see two things;
 *   `/container-too-large`
 *
 * @example
 * ```ts
 * import { sniffContainer } from "@parapet/model-signing/containers";
 * const pickle = new TextEncoder().encode("cos\nsystem\n(S'echo'\ntR.");
 * const { kind, runs } = await sniffContainer(pickle);
 * console.log(kind, runs[0]); // => pickle a pickle that imports "os system"
 * ```
 */
export async function sniffContainer(
  source: ByteSource | Uint8Array,
  options: SniffOptions = {},
): Promise<SniffedContainer> {
  const { name = "" } = options;
  if (typeof name !== "string") throw new TypeError(expected("name", "a text", name));
  const found = await sniff(sourceOf(source));
  const isPlain = /^(safetensors|gguf|onnx|numpy|json)$/.test(found.kind);
  if (found.runs.length > 0 || isPlain || !PICKLED.test(name)) return found;
  return { ...found, runs: [`a file that readers unpickle, by its name ${shown(name)}`] };
}

/**
 * Refuses a file when loading it would run what its author wrote. A signature says whose program it is, not that it is harmless.
 *
 * @param source - the file
 * @param options - its name, which the error says
 * @returns what it is
 * @throws ParapetError `model-signing/container-runs-code` with what was found; else as `sniffContainer`
 *
 * @example
 * ```ts
 * import { refusePickle } from "@parapet/model-signing/containers";
 * const pickle = Uint8Array.of(0x80, 4, 0x4e, 0x2e);
 * const refusal = await refusePickle(pickle, { name: "weights.bin" }).catch((error) => error);
 * console.log(refusal.code); // => model-signing/container-runs-code
 * ```
 */
export async function refusePickle(
  source: ByteSource | Uint8Array,
  options: SniffOptions = {},
): Promise<SniffedContainer> {
  const found = await sniffContainer(source, options);
  if (found.runs.length > 0) throw runsCode(options.name === undefined ? "file" : shown(options.name), found.runs);
  return found;
}

async function sniff(source: ByteSource): Promise<SniffedContainer> {
  const { size, read } = source;
  const head = await read(0, Math.min(size, HEAD));
  // Archives are read from their end: anything may stand before them.
  const archive = await readZip(source);
  if (archive !== undefined) return sniffZip(source, archive);
  if (says(head, "PK\x03\x04") || says(head, "PK\x05\x06"))
    return { kind: "zip", runs: ["an archive whose list of files is not there"] };
  for (let at = 0; at + 8 <= size; at = at === 0 ? 512 : 2 * at)
    if (says(await read(at, at + 8), "\x89HDF\r\n\x1a\n")) return { kind: "hdf5", runs: await programsInHdf5(source) };
  if (says(head, "ustar", 257)) return { kind: "tar", runs: ["a tar archive, as old files of PyTorch are: unpack it"] };
  const isLzma = says(head, "\x5d\0\0") && says(head, "\xff".repeat(8), 5);
  if (["BZh", "\xfd7zXZ\0", "\x04\x22\x4d\x18", "\x28\xb5\x2f\xfd"].some((mark) => says(head, mark)) || isLzma)
    return { kind: "compressed", runs: ["something packed, in which nothing can be seen: joblib packs pickles so"] };
  const isGzip = says(head, "\x1f\x8b");
  if (isGzip || (says(head, "\x78") && ((head[0]! << 8) | (head[1] ?? 0)) % 31 === 0)) {
    const inner = await unpack(await read(0, Math.min(size, PICKLE)), isGzip ? "gzip" : "deflate", PICKLE);
    const { runs } = await sniffHead(sourceOf(inner), inner, inner.length === PICKLE);
    if (runs.length > 0) return { kind: "compressed", runs };
    if (isGzip && says(inner, "ustar", 257)) return { kind: "compressed", runs: ["a tar archive, packed"] };
    if (isGzip && inner.length < 512 && size > PICKLE)
      return { kind: "compressed", runs: ["something packed so that nothing can be seen"] };
    if (isGzip) return { kind: "compressed", runs: [] };
  }
  return sniffHead(source, head, false);
}

/** What the beginning of a file says; `isCut` when more of it would come. */
async function sniffHead(source: ByteSource, head: Uint8Array, isCut: boolean): Promise<SniffedContainer> {
  if (says(head, "\x93NUMPY")) return { kind: "numpy", runs: objectsOfNumpy(head) };
  const pickle = await followPickle(source);
  const { end, imports, calls } = pickle;
  const isLong = end === "limit" || (end === "cut" && isCut);
  // With a mark of its protocol little is enough. Without one, as in protocol 0, any text could be the beginning of a pickle.
  const isPickle = isProtocol(head)
    ? end === "stop" || imports.length > 0 || calls
    : imports.length > 0 && (calls || end === "stop");
  if (isPickle || isLong) return { kind: "pickle", runs: [describePickle(pickle)] };
  if (says(head, "GGUF")) return { kind: "gguf", runs: [] };
  if (head[8] === 0x7b && head[5] === 0 && head[6] === 0 && head[7] === 0) return { kind: "safetensors", runs: [] };
  if (head[0] === 8 && head[1]! > 0 && head[1]! < 32 && [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42].includes(head[2]!))
    return { kind: "onnx", runs: [] };
  const first = head.find((byte) => byte !== 32 && byte !== 9 && byte !== 10 && byte !== 13);
  return { kind: first === 0x7b || first === 0x5b ? "json" : "unknown", runs: [] };
}

const says = (head: Uint8Array, text: string, at = 0): boolean =>
  Array.from(text).every((character, i) => head[at + i] === character.charCodeAt(0));

const isProtocol = (head: Uint8Array): boolean => head[0] === 0x80 && head.length > 1 && head[1]! <= 5;

async function sniffZip(source: ByteSource, entries: readonly ZipEntry[]): Promise<SniffedContainer> {
  const has = (name: RegExp) => entries.some((entry) => name.test(entry.name));
  const runs: string[] = [];
  const isTorch = has(/(^|\/)(data|constants)\.pkl$/);
  const isKeras = has(/^config\.json$/) && has(/^(metadata\.json|.*\.h5)$/);
  if (has(/^[^/]+\/code\/.+\.py$/)) runs.push("a program of TorchScript");
  if (has(/^MAR-INF\//)) runs.push("a program of TorchServe");
  const looked = entries.length > MEMBERS ? entries.filter(({ name }) => PICKLED.test(name)) : entries;
  if (looked.length > MEMBERS || (looked.length === 0 && entries.length > 0 && runs.length === 0))
    throw tooLarge("archive", `at most ${MEMBERS} files`, entries.length);
  let isNumpy = entries.length > 0;
  for (const entry of looked) {
    if (entry.name.endsWith("/")) continue;
    const where = shown(entry.name);
    const start = await readZipEntry(source, entry, 64);
    const looksLikeNumpy = says(start, "\x93NUMPY");
    isNumpy &&= looksLikeNumpy;
    if (looksLikeNumpy) {
      const found = objectsOfNumpy(await readZipEntry(source, entry, HEAD));
      runs.push(...found.map((one) => `${where}, ${one}`));
    } else if (PICKLED.test(entry.name) || isProtocol(start)) {
      const bytes = await readZipEntry(source, entry, PICKLE);
      const pickle = await followPickle(sourceOf(bytes));
      const is = PICKLED.test(entry.name) || pickle.end !== "none" || pickle.imports.length > 0 || pickle.calls;
      if (is) runs.push(`${where}, ${describePickle(pickle)}`);
    } else if (entry.name === "config.json") {
      if (entry.size > CONFIG) throw tooLarge("config.json", `at most ${CONFIG} bytes`, entry.size);
      const bytes = await readZipEntry(source, entry, CONFIG);
      runs.push(...programsOfKeras(typed("config.json", () => parseJson(bytes, { maxBytes: CONFIG, maxDepth: 256 }))));
    }
    if (runs.length > 100) break;
  }
  return { kind: isTorch ? "pytorch" : isKeras ? "keras" : isNumpy ? "numpy" : "zip", runs };
}

/** A header of NumPy as NumPy writes it: a type of numbers, or a list of names and types, in which S stands for a text. */
const NUMBERS = /^[<>|=]?[?bBhHiIlLqQpPefdgFDGSUVamMc][0-9]*(\[\w+\])?$/;
const PLAIN = /^\{S: S, S: (True|False), S: \([0-9L, ]*\),? ?\}\s*$/;
const RECORDS = /^\{S: \[[[\]()S0-9L, ]*\], S: (True|False), S: \([0-9L, ]*\),? ?\}\s*$/;
/** Objects as the type of a field, also in types that are written together. */
const OBJECTS = /(^|[^a-z])(o[0-9]*|object\w*)($|[^a-z])/i;

function objectsOfNumpy(head: Uint8Array): readonly string[] {
  const wide = head[6]! > 1;
  const start = wide ? 12 : 10;
  const length = head[8]! + 256 * head[9]! + (wide ? 65536 * head[10]! + 2 ** 24 * head[11]! : 0);
  if (!(start + length <= head.length)) return ["an array of NumPy whose header is too long"];
  const header = new TextDecoder("latin1").decode(head.subarray(start, start + length));
  // Python puts texts together that stand side by side, and has other ways to write them: only one is taken here.
  const texts: string[] = [];
  const form = header.replace(/S|'([^'\\]*)'/g, (whole, text?: string) => {
    texts.push(text ?? "");
    return text === undefined ? `?${whole}` : "S";
  });
  if (PLAIN.test(form) && NUMBERS.test(texts[1]!)) return [];
  if (RECORDS.test(form) && !/S *S/.test(form) && !texts.some((text) => OBJECTS.test(text))) return [];
  return ["an array of NumPy that holds Python's objects, which is a pickle"];
}
