import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { createSigner, type Envelope, type Json, type Signer, sha256, toUtf8 } from "@parapet/attestation";
import { readCsv } from "../datasets/csv.ts";
import { createDataset, type Dataset } from "../datasets/dataset.ts";
import { readJsonLines } from "../datasets/json-lines.ts";
import { manifestId, readManifest } from "../datasets/read-manifest.ts";
import { exporters } from "../exporters/index.ts";
import { type Log, openLog } from "../log/log.ts";
import { noteSigner, noteVerifier } from "../log/note-keys.ts";
import { problem, shown } from "../problem.ts";
import { impact } from "../questions/impact.ts";
import { readProvenancePolicy, verify } from "../questions/verify.ts";
import { runOf } from "../recorder/events.ts";
import { readChain } from "../recorder/journal.ts";
import { checkEvents, readRun } from "../recorder/read-run.ts";
import type { Run } from "../run.ts";
import { readClaims, writeClaims } from "../statements/claims.ts";
import { signManifest, signRun } from "../statements/sign-run.ts";
import { lineageHtml } from "../views/lineage-html.ts";
import { lineageText } from "../views/lineage-text.ts";
import { datasetOfFolder, filePieces } from "./dataset-files.ts";
import { openDataset, saveDataset } from "./datasets.ts";
import { nodeHash256 } from "./hash.ts";
import { folderStorage } from "./log-folder.ts";

const usage = `parapet-provenance: where data and weights came from, provably

  init   RECORD --key KEY.pem [--origin NAME]           a folder with a transparency log, claims and datasets
  record RECORD --key KEY.pem --dataset PATH [--name NAME] [--licence SPDX]
                                                        a folder, a table (.csv, .jsonl): its manifest, signed and logged
  record RECORD --key KEY.pem --run RUN [--subject ID]...
                                                        a run as it was recorded, signed and logged
  log    RECORD [--proof INDEX] [--output FILE]         the newest checkpoint, or the proof of an entry
  verify RECORD [--artefact ID --policy POLICY.json]    everything in the folder, and what a policy demands of a model
  export RUN --format ${Object.keys(exporters).join("|")} [--options OPTIONS.json] [--output FILE]
                                                        croissant takes the manifest of a dataset, modelCard also --html
  show   RUN... [--artefact ID] [--html FILE] [--impact ID]

  RUN is a journal or a run in JSON. KEY is a P-256 key, as parapet-sign keygen makes it; its passphrase comes from the environment
  (PARAPET_PROVENANCE_PASSPHRASE) or from standard input (--passphrase-stdin). --json prints one JSON value. Exit codes: 0 done, 1 not
  proven or refused, 2 wrong use, 3 a file could not be read or written.
`;

class Usage extends Error {}

const string = { type: "string" } as const;
const strings = { type: "string", multiple: true } as const;
const flag = { type: "boolean" } as const;
const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    allowPositionals: true,
    strict: true,
    options: {
      ...{ key: string, origin: string, dataset: string, name: string, licence: string, run: string, subject: strings },
      ...{
        proof: string,
        output: string,
        artefact: string,
        policy: string,
        format: string,
        options: string,
        html: string,
      },
      ...{ impact: string, "passphrase-stdin": flag, json: flag, help: flag },
    },
  });
type Values = ReturnType<typeof parse>["values"];

interface Outcome {
  readonly lines: readonly string[];
  readonly value: unknown;
}

/**
 * The command `parapet-provenance`: prints to standard output, and errors to standard error.
 *
 * @param args - what stands behind the command's name
 * @returns the exit code: 0 done, 1 not proven or refused, 2 wrong use, 3 a file could not be read or written
 *
 * @example
 * ```ts
 * import { parapetProvenance } from "@parapet/provenance/node/cli";
 * console.log(await parapetProvenance(["verify", "/no/such/record"])); // => 3
 * ```
 */
export async function parapetProvenance(args: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parse(args);
    const [command, ...paths] = positionals;
    if (values.help === true || command === undefined) {
      process.stdout.write(usage);
      return values.help === true ? 0 : 2;
    }
    const run = Object.hasOwn(commands, command) ? commands[command] : undefined;
    if (run === undefined) throw new Usage(`there is no command "${command}"`);
    const { lines, value } = await run(values, paths);
    process.stdout.write(
      values.json === true ? `${JSON.stringify(value)}\n` : lines.map((line) => `${line}\n`).join(""),
    );
    return 0;
  } catch (error) {
    const { code = "", message } = error as Error & { code?: string };
    const wrong =
      error instanceof Usage ||
      error instanceof RangeError ||
      error instanceof TypeError ||
      code.startsWith("ERR_PARSE_ARGS");
    const exit = wrong ? 2 : /^(provenance|attestation)\//.test(code) ? 1 : 3;
    if (args.includes("--json"))
      process.stdout.write(`${JSON.stringify({ error: { code: code || "usage", message } })}\n`);
    else
      process.stderr.write(`parapet-provenance: ${message}${wrong ? "\nparapet-provenance --help says more" : ""}\n`);
    return exit;
  }
}

const commands: Readonly<Record<string, (values: Values, paths: readonly string[]) => Promise<Outcome>>> = {
  async init(values, paths) {
    const record = one(paths, "RECORD");
    const { origin = basename(resolve(record)) } = values;
    if (existsSync(join(record, "log-key.txt"))) throw new Usage(`${record} is a record already`);
    const signer = noteSigner(origin, await signerOf(values));
    mkdirSync(record, { recursive: true });
    const log = await openLog(folderStorage(join(record, "log")), { signer });
    const { size } = await log.checkpoint();
    await log.close();
    writeFileSync(join(record, "log-key.txt"), `${signer.text}\n`, { flag: "wx" });
    return {
      lines: [`${record}: an empty log, ${origin}`, `its key, for those who check it: ${signer.text}`],
      value: { record, origin, size, key: signer.text },
    };
  },

  async record(values, paths) {
    const record = one(paths, "RECORD");
    const { dataset, run } = values;
    if ((dataset === undefined) === (run === undefined)) throw new Usage("either --dataset or --run is needed");
    const signer = await signerOf(values);
    return dataset === undefined
      ? claim(record, signer, await signRun(runFrom(run!), [signer], values.subject), { run })
      : recordDataset(record, signer, dataset, values);
  },

  async log({ proof, output }, paths) {
    const record = one(paths, "RECORD");
    const log = await openRecordLog(record);
    if (proof === undefined) {
      const { note, size, root } = await log.checkpoint();
      return {
        lines: [note.trimEnd()],
        value: { origin: log.origin, size, root: Buffer.from(root).toString("hex"), note },
      };
    }
    const text = await log.proofFile(Number(proof));
    return written(text, output);
  },

  async verify({ artefact, policy }, paths) {
    const record = one(paths, "RECORD");
    if ((artefact === undefined) !== (policy === undefined)) throw new Usage("--artefact and --policy belong together");
    const log = await openRecordLog(record);
    const { size } = await log.check();
    const claims = claimsOf(record);
    const lines = claims.split("\n").filter((line) => line !== "");
    if (readClaims(claims).length !== lines.length)
      throw problem("provenance/changed", "claims.jsonl expected an envelope in each line, got something else");
    // Claims and entries of the log belong together, one for one and in their order.
    for (let i = 0; i < Math.max(size, lines.length); i++) {
      const digest = lines[i] === undefined ? undefined : await sha256(toUtf8(lines[i]!));
      const entry = i < size ? await log.entry(i) : undefined;
      if (digest === undefined || entry === undefined || Buffer.compare(digest, entry) !== 0) {
        throw problem(
          "provenance/changed",
          `claims.jsonl expected the ${size} claims that the log has, got ${digest === undefined ? "fewer" : entry === undefined ? "more" : `another one as number ${i}`}`,
        );
      }
    }
    const datasets = await datasetsOf(record);
    const said = [`${record}: the log has ${size} claims, all of them as they were; ${datasets.length} datasets`];
    if (artefact === undefined || policy === undefined) return { lines: said, value: { proven: true, size, datasets } };
    const { sources, steps, by, evidence } = await verify(artefact, readProvenancePolicy(readFileSync(policy)), claims);
    const names = sources.map(({ name }) => name);
    return {
      lines: [
        ...said,
        `${artefact}: made by ${steps.length} steps from ${names.map(shown).join(", ")}, as signed by ${by.map(({ fingerprint }) => fingerprint).join(", ")}`,
      ],
      value: {
        ...{ proven: true, size, datasets, artefact, sources, steps: steps.map(({ activity }) => activity.id) },
        ...{
          by: by.map(({ fingerprint }) => fingerprint),
          evidence: evidence.map(({ statement }) => statement.predicateType),
        },
      },
    };
  },

  async export(values, paths) {
    const { format = "", output, options: file } = values;
    if (!Object.hasOwn(exporters, format))
      throw new Usage(`--format expected one of ${Object.keys(exporters).join(", ")}, got ${format || "none"}`);
    const options = file === undefined ? {} : (JSON.parse(readFileSync(file, "utf8")) as object);
    const path = one(paths, "RUN");
    const what = format === "croissant" ? readManifest(readFileSync(path)) : runFrom(path);
    const exported = (exporters as Readonly<Record<string, (what: unknown, options: object) => Json | object>>)[
      format
    ]!(what, options);
    if (format === "modelCard") {
      const { markdown, html } = exported as { readonly markdown: string; readonly html: string };
      if (values.html !== undefined) writeFileSync(values.html, html);
      return written(markdown, output);
    }
    return written(`${JSON.stringify(exported, undefined, 1)}\n`, output);
  },

  async show({ artefact, html, impact: of }, paths) {
    if (paths.length === 0) throw new Usage("RUN expected, got none");
    const runs = paths.map(runFrom);
    if (of !== undefined) {
      const found = impact(runs, of);
      return {
        lines: found.map(
          ({ artefact: { kind, name, id }, certainty }) => `${certainty}  ${kind} ${shown(name)}  ${id}`,
        ),
        value: found.map(({ artefact: one, certainty, by }) => ({ artefact: one, certainty, by: by.activity.id })),
      };
    }
    if (html !== undefined) writeFileSync(html, lineageHtml(runs));
    return {
      lines: [
        lineageText(runs, { ...(artefact === undefined ? {} : { artefact }), width: process.stdout.columns ?? 120 }),
      ],
      value: runs,
    };
  },
};

async function recordDataset(record: string, signer: Signer, path: string, values: Values): Promise<Outcome> {
  const { name = basename(resolve(path)), licence } = values;
  if (!/^[\w.-]{1,100}$/.test(name) || /^\.+$/.test(name))
    throw new Usage(`--name expected letters, digits, ".", "-" and "_", got ${shown(name)}`);
  const about = { name, ...(licence === undefined ? {} : { licence }) };
  let dataset: Dataset;
  if (path.endsWith(".csv")) dataset = await createDataset(readCsv(filePieces(path)), { ...about, hash: nodeHash256 });
  else if (/\.(jsonl|ndjson)$/.test(path))
    dataset = await createDataset(readJsonLines(filePieces(path)), { ...about, hash: nodeHash256 });
  else dataset = await datasetOfFolder(path, about);
  await saveDataset(join(record, "datasets", name), dataset);
  const { records } = dataset.manifest;
  return claim(record, signer, await signManifest(dataset.manifest, [signer]), {
    dataset: manifestId(dataset.manifest),
    records,
  });
}

/** Adds a claim, and its hash to the log: first the log, so that no claim is there that is not in it. */
async function claim(record: string, signer: Signer, envelope: Envelope, about: object): Promise<Outcome> {
  const line = writeClaims([envelope]);
  const [origin] = logKey(record).split("+");
  const log = await openLog(folderStorage(join(record, "log")), { signer: noteSigner(origin!, signer) });
  const { index } = await log.append(await sha256(toUtf8(line.trimEnd())));
  await log.close();
  await appendFile(join(record, "claims.jsonl"), line);
  return { lines: [`claim ${index} is in the log: ${JSON.stringify(about)}`], value: { index, ...about } };
}

const logKey = (record: string): string => readFileSync(join(record, "log-key.txt"), "utf8").trim();

async function openRecordLog(record: string): Promise<Log> {
  const verifier = await noteVerifier(logKey(record));
  return openLog(folderStorage(join(record, "log")), { verifier });
}

function claimsOf(record: string): string {
  const path = join(record, "claims.jsonl");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}

async function datasetsOf(record: string): Promise<readonly string[]> {
  const { readdir } = await import("node:fs/promises");
  const folder = join(record, "datasets");
  const names = existsSync(folder) ? (await readdir(folder)).filter((name) => !name.startsWith(".")) : [];
  return Promise.all(names.map(async (name) => manifestId((await openDataset(join(folder, name))).manifest)));
}

/** A run in JSON, or a journal, whose lines hold the hash of the one before. */
function runFrom(path: string): Run {
  const bytes = Uint8Array.from(readFileSync(path));
  const begin = new TextDecoder().decode(bytes.subarray(0, 200));
  if (!/^\{"event":/.test(begin)) return readRun(bytes);
  return runOf(checkEvents(readChain(bytes).events));
}

function written(text: string, output: string | undefined): Outcome {
  if (output === undefined) return { lines: [text.trimEnd()], value: text };
  writeFileSync(output, text);
  return { lines: [`wrote ${output}`], value: { output } };
}

function one(values: readonly string[], name: string): string {
  const [value, ...others] = values;
  if (value === undefined || others.length > 0) throw new Usage(`${name} expected once, got ${values.length} times`);
  return value;
}

async function signerOf({ key, "passphrase-stdin": piped }: Values): Promise<Signer> {
  if (key === undefined) throw new Usage("--key is needed");
  const pem = readFileSync(key, "utf8");
  if (!pem.includes("ENCRYPTED")) return createSigner(pem);
  const passphrase =
    piped === true ? (await text(process.stdin)).replace(/\r?\n$/, "") : process.env.PARAPET_PROVENANCE_PASSPHRASE;
  if (passphrase === undefined || passphrase === "")
    throw new Usage("a passphrase is needed: PARAPET_PROVENANCE_PASSPHRASE or --passphrase-stdin");
  return createSigner(pem, { passphrase });
}
