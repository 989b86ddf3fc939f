import { readEnvelope } from "./dsse.ts";
import { AttestationError, malformed } from "./errors.ts";
import { type ProvenEvidence, verifyEvidence } from "./evidence.ts";
import { type Json, parseJson } from "./json.ts";
import { readPublicKey } from "./keys.ts";
import { createVerifier } from "./signer.ts";
import type { Subject } from "./statement.ts";

/** What evidence must say at one place: all that is given here. */
export interface Condition {
  /** The names that lead to the value. */
  readonly path: readonly string[];
  readonly min?: number;
  readonly max?: number;
  readonly equals?: string | number | boolean;
  /** The value is a time in ISO 8601 that must lie in the future. */
  readonly notPast?: true;
  /** The value is a time in ISO 8601 that lies at most so many seconds back, and not in the future. */
  readonly maxAge?: number;
}

/** Evidence that must lie beside a model: of which type, by whom, and what it must say. Plain data. */
export interface EvidenceDemand {
  /** Its schema, such as "urn:parapet:evidence:robustness-evaluation:v1". */
  readonly predicateType: string;
  /** Keys whose word counts, as PEM. */
  readonly keys: readonly string[];
  readonly where?: readonly Condition[];
}

/** More than this is not tried. */
const MOST = 64;
const MOST_CLAIMS = 1000;

/**
 * Reads demands: closed, so that a misspelt field is an error and not a hole.
 *
 * @param json - a list of at most 64
 * @returns the demands
 * @throws AttestationError `attestation/malformed` with the field
 *
 * @example
 * ```ts
 * import { readDemands } from "@parapet/attestation";
 * try {
 *   readDemands([{ predicateType: "urn:example:v1", keys: ["-----BEGIN PUBLIC KEY-----"], were: [] }]);
 * } catch (error) {
 *   console.log((error as Error).message); // => demand expected no field "were"
 * }
 * ```
 */
export function readDemands(json: Json): readonly EvidenceDemand[] {
  for (const demand of list(json, "demands", 0)) {
    const { predicateType, keys, where = [] } = closed(demand, "demand", ["predicateType", "keys", "where"]);
    if (typeof predicateType !== "string" || predicateType === "")
      throw malformed('demand expected to have a "predicateType"');
    texts(keys, "keys");
    for (const condition of list(where, "where", 0)) readCondition(condition);
  }
  return json as unknown as readonly EvidenceDemand[];
}

function readCondition(json: Json): void {
  const names = ["path", "min", "max", "equals", "notPast", "maxAge"];
  const { path, min, max, equals, notPast, maxAge } = closed(json, "condition", names);
  texts(path, "path");
  for (const [name, bound] of Object.entries({ min, max, maxAge })) {
    if (bound !== undefined && typeof bound !== "number")
      throw malformed(`condition expected "${name}" to be a number`);
  }
  if (maxAge !== undefined && !((maxAge as number) > 0)) throw malformed('condition expected "maxAge" to be above 0');
  if (notPast !== undefined && notPast !== true) throw malformed('condition expected "notPast" to be true');
  if (equals !== undefined && !["string", "number", "boolean"].includes(typeof equals))
    throw malformed('condition expected "equals" to be a plain value');
  if ([min, max, equals, notPast, maxAge].every((one) => one === undefined))
    throw malformed("condition expected to ask for something");
}

/**
 * Proves that evidence is there which meets every demand: about this model, signed by a key that counts, saying enough. Claims
 * that are damaged, by others or about something else are passed over: no reason to refuse, nor to trust.
 *
 * @param subject - the model
 * @param demands - from `readDemands`
 * @param claims - the lines of the file of claims beside the model (`claims.jsonl`): an envelope each
 * @param options - fingerprints of keys that no longer count, and the time; default now
 * @returns what met each demand, in their order
 * @throws AttestationError `attestation/evidence` with the demand that is not met, and why; `attestation/too-large` beyond 1,000 claims
 *
 * @example
 * ```ts
 * import { envelopeToJson, generateKeyPair, meetDemands, signEvidence } from "@parapet/attestation";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const model = { digest: { sha256: "a".repeat(64) } };
 * const evidence = { schema: "urn:example:accuracy:v1", accuracy: 0.9 };
 * const envelope = await signEvidence(evidence, [model], [signer]);
 * const claims = JSON.stringify(envelopeToJson(envelope));
 * const demand = { predicateType: "urn:example:accuracy:v1", keys: [publicKey.pem] };
 * const good = [{ ...demand, where: [{ path: ["accuracy"], min: 0.8 }] }];
 * console.log((await meetDemands(model, good, claims)).length); // => 1
 * const more = [{ ...demand, where: [{ path: ["accuracy"], min: 0.95 }] }];
 * const refusal = await meetDemands(model, more, claims).catch((error) => error);
 * console.log(refusal.message); // => evidence urn:example:accuracy:v1 expected about this model: accuracy is not >= 0.95
 * ```
 *
 * Source: none known; the claims are in-toto statements in DSSE envelopes.
 */
export async function meetDemands(
  subject: Subject,
  demands: readonly EvidenceDemand[],
  claims: string,
  options: { readonly revoked?: readonly string[]; readonly now?: Date } = {},
): Promise<readonly ProvenEvidence[]> {
  const { revoked = [], now = new Date() } = options;
  const lines = claims.split("\n").filter((line) => line.trim() !== "");
  if (lines.length > MOST_CLAIMS)
    throw new AttestationError("attestation/too-large", `claims expected at most ${MOST_CLAIMS}, got ${lines.length}`);
  const met: ProvenEvidence[] = [];
  for (const { predicateType, keys, where = [] } of demands) {
    const known = await Promise.all(keys.map(readPublicKey));
    const counting = known.filter(({ fingerprint }) => !revoked.includes(fingerprint));
    const verifiers = await Promise.all(counting.map((key) => createVerifier(key)));
    let why = "there is none by a key that counts";
    let found: ProvenEvidence | undefined;
    for (const line of lines) {
      let proven: ProvenEvidence;
      try {
        proven = await verifyEvidence(readEnvelope(parseJson(line)), verifiers, { predicateType, subject });
      } catch (error) {
        if (isOurs(error)) continue;
        throw error;
      }
      const failing = where.find((condition) => !holds(proven.evidence, condition, now));
      if (failing === undefined) {
        found = proven;
        break;
      }
      why = `${failing.path.join(".")} is not ${describe(failing)}`;
    }
    if (found === undefined)
      throw new AttestationError("attestation/evidence", `evidence ${predicateType} expected about this model: ${why}`);
    met.push(found);
  }
  return met;
}

const isOurs = (error: unknown) => String((error as { code?: unknown }).code).startsWith("attestation/");

function holds(evidence: Json, condition: Condition, now: Date): boolean {
  const { path, min, max, equals, notPast, maxAge } = condition;
  let value: Json | undefined = evidence;
  for (const name of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return false;
    value = (value as Readonly<Record<string, Json>>)[name];
  }
  if (equals !== undefined && value !== equals) return false;
  if ((min !== undefined || max !== undefined) && typeof value !== "number") return false;
  if (min !== undefined && !((value as number) >= min)) return false;
  if (max !== undefined && !((value as number) <= max)) return false;
  if (notPast === undefined && maxAge === undefined) return true;
  const isTime = typeof value === "string" && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(value);
  const age = isTime ? (now.getTime() - Date.parse(value as string)) / 1000 : Number.NaN;
  if (notPast !== undefined && !(age < 0)) return false;
  return maxAge === undefined || (age >= 0 && age <= maxAge);
}

function describe({ min, max, equals, notPast, maxAge }: Condition): string {
  const parts = [
    min === undefined ? "" : `>= ${min}`,
    max === undefined ? "" : `<= ${max}`,
    equals === undefined ? "" : JSON.stringify(equals),
    notPast ? "a time in the future" : "",
    maxAge === undefined ? "" : `a time of the last ${maxAge} s`,
  ];
  return parts.filter((part) => part !== "").join(" and ");
}

function closed(json: Json, what: string, names: readonly string[]): Readonly<Record<string, Json | undefined>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw malformed(`${what} expected an object`);
  const other = Object.keys(json).find((name) => !names.includes(name));
  if (other !== undefined) throw malformed(`${what} expected no field ${JSON.stringify(other).slice(0, 100)}`);
  return json as Readonly<Record<string, Json>>;
}

function list(json: Json | undefined, name: string, least: number): readonly Json[] {
  if (!Array.isArray(json) || json.length < least || json.length > MOST)
    throw malformed(`"${name}" expected a list of ${least} to ${MOST}`);
  return json;
}

function texts(json: Json | undefined, name: string): void {
  const all = list(json, name, 1);
  if (!all.every((one) => typeof one === "string" && one !== "")) throw malformed(`"${name}" expected texts`);
}
