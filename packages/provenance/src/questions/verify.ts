import {
  createVerifier,
  type Envelope,
  type EvidenceDemand,
  type Json,
  meetDemands,
  type ProvenEvidence,
  type PublicKey,
  parseStatement,
  readDemands,
  readPublicKey,
  statementMediaType,
  type Verifier,
  verifyEnvelope,
} from "@parapet/attestation";
import { expected } from "@parapet/core";
import { checkId, checkList, checkText, jsonOf, malformed, membersOf } from "../datasets/strict.ts";
import { problem, shown } from "../problem.ts";
import { checkRun } from "../recorder/read-run.ts";
import type { ActivityKind, Artefact, Run } from "../run.ts";
import { readClaims, writeClaims } from "../statements/claims.ts";
import { type Lineage, lineage } from "./lineage.ts";

/** Sources that are allowed: all that is said of them here must hold. */
export interface SourceRule {
  /** One of these artefacts. */
  readonly ids?: readonly string[];
  readonly kinds?: readonly string[];
  /** Its address begins with one of these. */
  readonly addresses?: readonly string[];
  /** Its licence is one of these SPDX expressions. */
  readonly licences?: readonly string[];
}

/** What must be proven of a model's history before it is used: plain data, to be kept as JSON. */
export interface ProvenancePolicy {
  readonly version: 1;
  /** Keys whose word on runs counts, as PEM, and how many of them must have signed each; default 1. */
  readonly lineage: { readonly keys: readonly string[]; readonly threshold?: number };
  /** What it may be made from: each source must meet one of the rules. Default: anything. */
  readonly sources?: readonly SourceRule[];
  /** Ids of artefacts that it must not be made from, directly or through others. */
  readonly forbidden?: readonly string[];
  /** Kinds of steps that must be there, done. */
  readonly steps?: readonly ActivityKind[];
  /** Evidence that must lie beside the model. */
  readonly evidence?: readonly EvidenceDemand[];
  /** Fingerprints of keys that no longer count. */
  readonly revoked?: readonly string[];
}

/** What was proven of a model. */
export interface ProvenLineage extends Lineage {
  /** Keys that signed the run that made it. */
  readonly by: readonly PublicKey[];
  /** For each demand, in their order. */
  readonly evidence: readonly ProvenEvidence[];
}

const LINEAGE = "urn:parapet:evidence:lineage:v1";
const refused = (message: string) => problem("provenance/policy", message);

/**
 * Reads a policy: closed, so that a misspelt field is an error and not a hole.
 *
 * @param source - JSON: text, or UTF-8
 * @returns the policy
 * @throws ParapetError `provenance/malformed` with the field
 *
 * @example
 * ```ts
 * import { readProvenancePolicy } from "@parapet/provenance";
 * try {
 *   readProvenancePolicy('{"version": 1, "lineage": {"keys": ["-----BEGIN PUBLIC KEY-----"]}, "forbiden": []}');
 * } catch (error) {
 *   console.log((error as Error).message.slice(0, 36)); // => policy expected no other members tha
 * }
 * ```
 */
export function readProvenancePolicy(source: string | Uint8Array): ProvenancePolicy {
  const json = jsonOf("policy", source, { maxBytes: 1 << 20, maxDepth: 16 });
  const policy = membersOf(
    "policy",
    json,
    ["version", "lineage", "sources?", "forbidden?", "steps?", "evidence?", "revoked?"],
    malformed,
  );
  if (policy.version !== 1) throw malformed('policy expected "version" 1');
  const texts = (what: string, value: unknown) => {
    checkList(what, value, malformed, (where, one) => checkText(where, one, malformed), 1000);
  };
  const { keys, threshold = 1 } = membersOf("policy.lineage", policy.lineage, ["keys", "threshold?"], malformed);
  texts("policy.lineage.keys", keys);
  const { length } = keys as readonly string[];
  if (length === 0) throw malformed("policy.lineage.keys expected at least one key, got none: whose word is to count?");
  if (!(Number.isSafeInteger(threshold) && (threshold as number) >= 1 && (threshold as number) <= length))
    throw malformed(`policy.lineage expected a threshold of 1 to ${length}, the number of keys`);
  if (policy.sources !== undefined) {
    checkList("policy.sources", policy.sources, malformed, (where, rule) => {
      const given = membersOf(where, rule, ["ids?", "kinds?", "addresses?", "licences?"], malformed);
      if (Object.keys(given).length === 0) throw malformed(`${where} expected to say what is allowed`);
      for (const [name, value] of Object.entries(given)) texts(`${where}.${name}`, value);
    });
  }
  if (policy.forbidden !== undefined)
    checkList("policy.forbidden", policy.forbidden, malformed, (where, id) => checkId(where, id, malformed));
  for (const name of ["steps", "revoked"] as const)
    if (policy[name] !== undefined) texts(`policy.${name}`, policy[name]);
  try {
    readDemands((policy.evidence ?? []) as Json);
  } catch (cause) {
    throw malformed(`policy.evidence: ${(cause as Error).message}`);
  }
  return json as unknown as ProvenancePolicy;
}

/**
 * Proves where a model came from by a policy: who signed the run that made it, that it was made from nothing but what is allowed,
 * by the steps that are demanded, and that the evidence beside it says enough. What a policy does not allow is refused.
 *
 * Runs of other models in the same claims, signed by keys that count, are followed: a base model is a source only where
 * no such run made it.
 *
 * @param artefact - the model's id: of a signed model "sha256:" and its root digest
 * @param policy - from `readProvenancePolicy`
 * @param claims - the text of `claims.jsonl` beside the model
 * @param options - the time at which evidence must be fresh; default now
 * @returns what was proven
 * @throws ParapetError `provenance/policy` with what is missing or not allowed; `provenance/cycle`
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createRecorder, memoryJournal, signRun, verify, writeClaims } from "@parapet/provenance";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 * const data = await recorder.artefact({ kind: "dataset", name: "mnist", content: "digits", licence: "MIT" });
 * const model = await recorder.step({ kind: "train", name: "Train" }, (step) => {
 *   step.use(data, "training data", { count: 60_000, all: true });
 *   return step.make({ kind: "model", name: "digits", content: "weights" }, "weights");
 * });
 * const claims = writeClaims([await signRun(await recorder.finish(), [signer])]);
 * const policy = { version: 1, lineage: { keys: [publicKey.pem] }, sources: [{ licences: ["MIT"] }] } as const;
 * console.log((await verify(model.id, policy, claims)).sources.map(({ name }) => name).join()); // => mnist
 * const refusal = await verify(model.id, { ...policy, forbidden: [data.id] }, claims).catch((error) => error);
 * console.log(refusal.code); // => provenance/policy
 * ```
 */
export async function verify(
  artefact: string,
  policy: ProvenancePolicy,
  claims: string | Uint8Array,
  options: { readonly now?: Date } = {},
): Promise<ProvenLineage> {
  if (!/^sha256:[0-9a-f]{64}$/.test(artefact))
    throw new RangeError(expected("artefact", '"sha256:" and 64 hexadecimal digits', artefact));
  const {
    lineage: trust,
    sources,
    forbidden = [],
    steps = [],
    evidence: demands = [],
    revoked = [],
  } = readProvenancePolicy(JSON.stringify(policy));
  const envelopes = readClaims(claims);
  const keys = await Promise.all(trust.keys.map(readPublicKey));
  const counting = keys.filter(({ fingerprint }) => !revoked.includes(fingerprint));
  const verifiers = await Promise.all(counting.map((key) => createVerifier(key)));
  const { threshold = 1 } = trust;
  const runs: { readonly run: Run; readonly by: readonly PublicKey[]; readonly about: readonly string[] }[] = [];
  for (const envelope of envelopes) {
    const proven = await provenRun(envelope, verifiers, threshold);
    if (proven !== undefined && !runs.some(({ run }) => run.id === proven.run.id)) runs.push(proven);
  }
  const maker = runs.find(({ run, about }) => about.includes(artefact) && madeBy(run, artefact));
  if (maker === undefined)
    throw refused(
      `the policy expected a signed run that made ${artefact.slice(0, 23)}...: none of the ${envelopes.length} claims is one`,
    );
  const history = lineage(
    runs.map(({ run }) => run),
    artefact,
  );
  for (const id of forbidden) {
    const bad = history.artefacts.find((one) => one.id === id);
    if (bad !== undefined)
      throw refused(
        `the policy expected it not to be made from ${shown(bad.name)} (${id.slice(0, 23)}...), and it was`,
      );
  }
  if (sources !== undefined) {
    const bad = history.sources.find((source) => !sources.some((rule) => allows(rule, source)));
    if (bad !== undefined)
      throw refused(
        `the policy expected sources that it allows, got ${bad.kind} ${shown(bad.name)} (${bad.id.slice(0, 23)}...)`,
      );
  }
  const unfinished = history.steps.find(({ activity }) => activity.status !== "done");
  if (unfinished !== undefined)
    throw refused(
      `the policy expected steps that are done, got ${shown(unfinished.activity.id)}, which is ${unfinished.activity.status}`,
    );
  // Evaluations make no model: those of the model count as well, and of what it was exported from.
  const done = new Set(history.steps.map(({ activity }) => activity.kind));
  const judged = new Set([artefact]);
  for (const id of judged) {
    for (const { activity } of history.steps)
      if (activity.kind === "export" && activity.made.some((use) => use.artefact === id))
        for (const use of activity.used) judged.add(use.artefact);
  }
  for (const { run } of runs) {
    for (const { kind, status, used } of run.activities)
      if (status === "done" && used.some((use) => judged.has(use.artefact))) done.add(kind);
  }
  const missing = steps.find((kind) => !done.has(kind));
  if (missing !== undefined) throw refused(`the policy expected a step of the kind ${shown(missing)}, got none`);
  const subject = { digest: { sha256: artefact.slice("sha256:".length) } };
  const met = await meetDemands(subject, demands, writeClaims(envelopes), { revoked, ...options }).catch(
    (cause: Error) => {
      if ((cause as { code?: string }).code !== "attestation/evidence") throw cause;
      throw problem("provenance/policy", `the policy is not met: ${cause.message}`, { cause });
    },
  );
  return { ...history, by: maker.by, evidence: met };
}

/** The run of an envelope, where those who count signed it. What is damaged or by others neither helps nor hinders. */
async function provenRun(envelope: Envelope, verifiers: readonly Verifier[], threshold: number) {
  try {
    const { payload, payloadType, by } = await verifyEnvelope(envelope, verifiers, { threshold });
    if (payloadType !== statementMediaType) return undefined;
    const statement = parseStatement(payload);
    if (statement.predicateType !== LINEAGE) return undefined;
    const about = statement.subject.map(({ digest }) => `sha256:${digest.sha256}`);
    return { run: checkRun(statement.predicate), by, about };
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (/^(attestation|provenance)\//.test(String(code))) return undefined;
    throw error;
  }
}

const madeBy = ({ activities }: Run, id: string): boolean =>
  activities.some(({ status, made }) => status === "done" && made.some((use) => use.artefact === id));

function allows({ ids, kinds, addresses, licences }: SourceRule, { id, kind, uri, licence }: Artefact): boolean {
  if (ids !== undefined && !ids.includes(id)) return false;
  if (kinds !== undefined && !kinds.includes(kind)) return false;
  if (addresses !== undefined && !addresses.some((address) => uri?.startsWith(address))) return false;
  return licences === undefined || (licence !== undefined && licences.includes(licence));
}
