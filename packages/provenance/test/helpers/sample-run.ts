import { sha256 } from "@noble/hashes/sha2.js";
import { type Json, toHex, toUtf8 } from "@parapet/attestation";
import type { Activity, Artefact, DatasetManifest, RecordsSeen, Run, Use } from "../../src/index.ts";

/** A digest that stands for some bytes. */
export const digestFor = (text: string): string => toHex(sha256(toUtf8(text)));
const id = (text: string): string => `sha256:${digestFor(text)}`;
const MNIST = "https://example.org/mnist/";

/** The dataset of the sample run. */
export const sampleManifest: DatasetManifest = {
  schema: "urn:parapet:evidence:dataset:v1",
  name: "mnist",
  version: "1.0.0",
  description: "70,000 handwritten digits, 28 by 28 pixels",
  records: 70_000,
  root: digestFor("root"),
  sortedRoot: digestFor("sorted root"),
  files: [
    { name: "labels.csv", size: 140_012, sha256: digestFor("labels"), mediaType: "text/csv" },
    { name: "images/all.bin", size: 54_880_000, sha256: digestFor("images"), mediaType: "application/octet-stream" },
  ],
  fields: [
    { name: "image", type: "array", dtype: "uint8", shape: [28, 28], description: "grey values" },
    { name: "digit", type: "integer", description: "what is written", personal: false },
    { name: "writer", type: "text", description: "number of the writer", personal: true },
  ],
  statistics: { digit: { count: 70_000, missing: 0, min: 0, max: 9, distinct: 10, mean: 4.45, counts: { "0": 6903 } } },
  licence: "CC-BY-SA-3.0",
  consent: { basis: "licence", purposes: ["research", "teaching"], expires: "2030-01-01T00:00:00Z" },
  creators: ["Yann LeCun", "Corinna Cortes"],
  sources: [{ uri: `${MNIST}labels.csv`, sha256: digestFor("labels") }, { uri: `${MNIST}images/all.bin` }],
  citation: "LeCun, Cortes: The MNIST database of handwritten digits. 1998.",
  created: "2026-03-01T08:00:00Z",
  notes: { classes: 10 },
};

// Written out where the manifest's identity is tested: SHA-256 of its canonical form.
const MANIFEST = "sha256:3e3cfc53d1b89a2ac657245a0f939d2293ce9d40f28de8f4bada2d47a1e112c9";

const artefact = (kind: Artefact["kind"], name: string, more: Partial<Artefact> = {}): Artefact => ({
  id: id(name),
  kind,
  name,
  ...more,
});
const mnist = artefact("dataset", "mnist", {
  id: MANIFEST,
  uri: MNIST,
  records: 70_000,
  size: 55_020_012,
  licence: "CC-BY-SA-3.0",
  description: "Handwritten digits",
});
const train = artefact("dataset", "mnist-train", { records: 60_000, licence: "CC-BY-SA-3.0" });
const test = artefact("dataset", "mnist-test", { records: 10_000, licence: "CC-BY-SA-3.0" });
const augmented = artefact("dataset", "mnist-train-shifted", { records: 120_000, licence: "CC-BY-SA-3.0" });
const script = artefact("code", "train.ts", { mediaType: "text/typescript", size: 4_812, licence: "Apache-2.0" });
const base = artefact("model", "strokes-base", {
  uri: "https://example.org/models/strokes-base",
  licence: "Apache-2.0",
  size: 9_400_000,
  description: "Knows strokes, from synthetic letters",
});
const weights = (name: string, more: Partial<Artefact> = {}) =>
  artefact("model", name, { size: 9_400_000, licence: "Apache-2.0", ...more });
const epochs = [1, 2, 3].map((epoch) => weights(`digits-epoch-${epoch}`));
const hardened = weights("digits-hardened", { notes: { method: "PGD, linf 0.3" } });
const student = weights("digits-student", { size: 1_200_000 });
const quantised = weights("digits-int8", { size: 310_000 });
const onnx = weights("digits.onnx", { size: 312_204, mediaType: "application/onnx", description: "Reads digits" });
const report = artefact("report", "evaluation.json", { mediaType: "application/json", size: 912 });

const minute = (count: number) => new Date(Date.UTC(2026, 2, 1, 9, 0) + count * 60_000).toISOString();
const use = (one: Artefact, role: string, records?: RecordsSeen): Use => ({
  artefact: one.id,
  role,
  ...(records === undefined ? {} : { records }),
});
const all = (count: number): RecordsSeen => ({ count, all: true });

function step(
  id: string,
  kind: Activity["kind"],
  [from, to]: readonly [number, number],
  used: readonly Use[],
  made: readonly Use[],
  more: Partial<Activity> = {},
): Activity {
  const times = { started: minute(from), finished: minute(to) };
  return {
    ...{ id, kind, name: id, ...times, status: "done", used, made },
    ...{ parameters: {}, seeds: {}, metrics: {}, ...more },
  };
}

const epoch = (number: number): Activity =>
  step(
    `train-${number}`,
    "train",
    [number * 10, number * 10 + 9],
    [
      use(number === 1 ? base : epochs[number - 2]!, number === 1 ? "base model" : "weights"),
      use(augmented, "training data", { count: 120_000, all: false, indices: digestFor(`order ${number}`) }),
      use(script, "code"),
    ],
    [use(epochs[number - 1]!, "weights")],
    {
      name: `Epoch ${number}`,
      parameters: { optimizer: "adam", learningRate: 0.001 / number, batchSize: 128, layers: [784, 128, 10] },
      seeds: { shuffle: number, initialisation: 7 },
      metrics: { loss: 0.5 / number, accuracy: [0.92, 0.94, 0.96][number - 1]! },
    },
  );

/** MNIST from its files to an ONNX model; two steps run at the same time, and one fails. */
export const sampleRun: Run = {
  schema: "urn:parapet:evidence:lineage:v1",
  id: "5c146b14-3c52-4afd-938a-375d0df1fbf6",
  name: "digits",
  started: minute(0),
  finished: minute(80),
  status: "done",
  code: {
    repository: "https://example.org/digits.git",
    commit: "1f0c5a7d1f0c5a7d1f0c5a7d1f0c5a7d1f0c5a7d",
    modified: false,
    entry: "src/train.ts",
  },
  environment: {
    runtime: "node 20.20.2",
    platform: "linux x64",
    processor: "2 x virtual",
    packages: { "@tensorflow/tfjs": "4.22.0", "@parapet/core": "0.1.0" },
    variables: { TF_CPP_MIN_LOG_LEVEL: "2" },
  },
  artefacts: [mnist, train, test, augmented, script, base, ...epochs, hardened, student, quantised, onnx, report],
  activities: [
    step("load", "load", [0, 1], [use(mnist, "source", all(70_000))], [], { name: "Load MNIST" }),
    step(
      "split",
      "split",
      [1, 2],
      [use(mnist, "source", all(70_000))],
      [use(train, "training data"), use(test, "test data")],
      {
        name: "Split",
        parameters: { share: 6 / 7 },
        seeds: { split: 42 },
      },
    ),
    step("augment", "augment", [2, 5], [use(train, "training data", all(60_000))], [use(augmented, "training data")], {
      name: "Shift by a pixel",
      parameters: { shift: 1 },
      seeds: { shift: 3 },
    }),
    epoch(1),
    epoch(2),
    epoch(3),
    step(
      "evaluate",
      "evaluate",
      [40, 44],
      [use(epochs[2]!, "model"), use(test, "test data", all(10_000))],
      [use(report, "report")],
      { name: "Evaluate", metrics: { accuracy: 0.9812, "robust accuracy (linf 0.3)": 0.021 } },
    ),
    // at the same time
    step(
      "harden",
      "harden",
      [41, 60],
      [use(epochs[2]!, "base model"), use(train, "training data", all(60_000))],
      [use(hardened, "weights")],
      { name: "Adversarial training", parameters: { epsilon: 0.3, steps: 40 }, seeds: { attack: 11 } },
    ),
    step(
      "distil",
      "distil",
      [60, 70],
      [use(hardened, "teacher"), use(train, "training data", all(60_000))],
      [use(student, "student")],
      { name: "Distil", parameters: { temperature: 20 }, metrics: { loss: 0.04 } },
    ),
    step("quantise", "quantise", [70, 72], [use(student, "model")], [use(quantised, "model")], {
      name: "Quantise to 8 bits",
      parameters: { bits: 8 },
    }),
    step("export-lite", "export", [72, 73], [use(quantised, "model")], [], {
      ...{ name: "Export TensorFlow Lite", status: "failed", parameters: { format: "tflite" } },
      error: 'the operator "GatherNd" is not known',
    }),
    step("export", "export", [73, 74], [use(quantised, "model")], [use(onnx, "model")], {
      name: "Export ONNX",
      parameters: { format: "onnx", opset: 17 },
    }),
    step("evaluate-onnx", "evaluate", [74, 79], [use(onnx, "model"), use(test, "test data", all(10_000))], [], {
      name: "Evaluate what is shipped",
      metrics: { accuracy: 0.9744, "robust accuracy (linf 0.3)": 0.912 },
    }),
  ],
};

/** The identities of the sample's artefacts by name. */
export const sampleIds: Readonly<Record<string, string>> = Object.fromEntries(
  sampleRun.artefacts.map(({ name, id }) => [name, id]),
);

/** As little as a run can be. */
export const minimalRun: Run = {
  schema: "urn:parapet:evidence:lineage:v1",
  id: "00000000-0000-4000-8000-000000000001",
  name: "minimal",
  started: minute(0),
  status: "running",
  code: {},
  environment: { runtime: "chrome 140", platform: "browser", packages: {}, variables: {} },
  artefacts: [artefact("model", "model")],
  activities: [
    {
      ...{ id: "a", kind: "other", name: "make", started: minute(0), status: "running", used: [] },
      ...{ made: [{ artefact: id("model"), role: "" }], parameters: {}, seeds: {}, metrics: {} },
    },
  ],
};

/** Names that try to be something else. */
export const hostileNames: readonly string[] = [
  "</script><script>globalThis.hacked = 1</script>",
  '"><img src=x onerror="globalThis.hacked = 2">',
  "<!--<script>",
  "line\nbreak\r\n# heading\ttab",
  "\u2028paragraph\u2029and\u0000nul\u001b[31mred\u001b[0m",
  "\u202egnp.exe \u2066 {{constructor.constructor('globalThis.hacked = 3')()}}",
  "👩‍🔬🧪 モデル",
  "javascript:globalThis.hacked=4",
  "__proto__",
  "constructor",
  "'; globalThis.hacked = 5; '`$" + "{globalThis.hacked = 6}`",
  "| a | b |\n|---|---|\n[link](javascript:globalThis.hacked=7) *bold* `code` \\",
  "x".repeat(5_000),
  "",
];

const hostileValues = JSON.parse(
  `{"__proto__": {"polluted": true}, "constructor": 1, "toString": ${JSON.stringify(hostileNames[0])}}`,
) as Record<string, Json>;

/** Every text in it is hostile. */
export const hostileRun: Run = {
  ...sampleRun,
  id: "00000000-0000-4000-8000-00000000000f",
  name: hostileNames[0]!,
  code: { repository: "javascript:alert(1)", commit: "<b>", modified: true, entry: "../../<script>" },
  environment: {
    runtime: hostileNames[4]!,
    platform: hostileNames[3]!,
    packages: JSON.parse('{"__proto__": "1.0.0"}') as Record<string, string>,
    variables: JSON.parse(`{"__proto__": ${JSON.stringify(hostileNames[1])}}`) as Record<string, string>,
  },
  artefacts: hostileNames.map((name, i) => ({
    id: id(`hostile ${i}`),
    kind: i % 2 === 0 ? "model" : "dataset",
    ...{ name, uri: name, mediaType: name, licence: name, description: name, notes: hostileValues },
  })),
  activities: hostileNames.map((name, i) => ({
    id: `${name}#${i}`,
    ...{ kind: i % 3 === 0 ? "evaluate" : "train", name, started: minute(i), finished: minute(i + 1) },
    ...(i % 4 === 1 ? { status: "failed" as const, error: name } : { status: "done" as const }),
    used: i === 0 ? [] : [{ artefact: id(`hostile ${i - 1}`), role: name, records: { count: i, all: true as const } }],
    made: [{ artefact: id(`hostile ${i}`), role: name }],
    parameters: { ...hostileValues, [name]: name },
    seeds: { [name]: i },
    metrics: { [name]: i / 2 },
  })),
};

/** The longest, with many nodes: `width` sources, a chain of `depth` steps over all of them. */
export function largeRun(width: number, depth: number): Run {
  const sources = Array.from({ length: width }, (_, i) => artefact("dataset", `shard-${i}`, { records: 1_000 }));
  const models = Array.from({ length: depth }, (_, i) => weights(`checkpoint-${i}`));
  return {
    ...sampleRun,
    name: "large",
    artefacts: [...sources, ...models],
    activities: models.map((model, i) =>
      step(
        `step-${i}`,
        i % 50 === 49 ? "evaluate" : "train",
        [i, i + 1],
        [use(sources[i % width]!, "training data"), ...(i === 0 ? [] : [use(models[i - 1]!, "weights")])],
        [use(model, "weights")],
        { name: `Step ${i}` },
      ),
    ),
  };
}
