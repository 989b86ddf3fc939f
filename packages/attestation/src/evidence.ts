import { type Envelope, signEnvelope, verifyEnvelope } from "./dsse.ts";
import { AttestationError } from "./errors.ts";
import type { Json } from "./json.ts";
import type { PublicKey } from "./keys.ts";
import type { Signer, Verifier } from "./signer.ts";
import {
  createStatement,
  encodeStatement,
  parseStatement,
  type Statement,
  type Subject,
  statementMediaType,
} from "./statement.ts";

/** What a package found out about a model: a robustness evaluation, a certificate, a privacy guarantee, ... */
export interface Evidence {
  /** Its type, such as "urn:parapet:evidence:robustness-evaluation:v1"; the statement's predicate type. */
  readonly schema: string;
}

/** Evidence that somebody signed. */
export interface ProvenEvidence {
  readonly statement: Statement;
  /** What was found: the predicate. */
  readonly evidence: Json;
  readonly by: readonly PublicKey[];
}

/**
 * Makes evidence a statement about a model, and signs it.
 *
 * @param evidence - a plain value with its `schema`
 * @param subjects - the model, by the digest under which it is signed
 * @param signers - who vouches for it
 * @returns an envelope, to be kept beside the model
 * @throws TypeError when the evidence names no schema
 *
 * @example
 * ```ts
 * import { createVerifier, generateKeyPair, signEvidence, verifyEvidence } from "@parapet/attestation";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const model = { digest: { sha256: "a".repeat(64) } };
 * const evidence = { schema: "urn:example:accuracy:v1", accuracy: 0.9 };
 * const envelope = await signEvidence(evidence, [model], [signer]);
 * const wanted = { predicateType: "urn:example:accuracy:v1", subject: model };
 * const proven = await verifyEvidence(envelope, [await createVerifier(publicKey)], wanted);
 * console.log((proven.evidence as { accuracy: number }).accuracy); // => 0.9
 * ```
 *
 * Source: https://github.com/in-toto/attestation/blob/main/spec/v1/README.md.
 */
export async function signEvidence(
  evidence: Evidence,
  subjects: readonly Subject[],
  signers: readonly Signer[],
): Promise<Envelope> {
  if (typeof evidence?.schema !== "string" || evidence.schema === "") {
    throw new TypeError('"evidence" expected a value with its "schema", got none');
  }
  const statement = createStatement(subjects, evidence.schema, evidence as unknown as Json);
  return signEnvelope(statementMediaType, encodeStatement(statement), signers);
}

/**
 * Proves that evidence of a type about a model was signed by a trusted key. What it says is still to be judged: that a
 * figure is high enough, or fresh enough.
 *
 * @param envelope - from `readEnvelope`
 * @param verifiers - whose word counts
 * @param wanted - the type of the evidence, and what it must be about: one of its digests must be equal, and none differ
 * @returns the statement, the evidence in it, and who signed
 * @throws AttestationError `attestation/statement` when it is of another type or about something else; and as
 *   `verifyEnvelope` and `parseStatement`
 *
 * @example
 * ```ts
 * import { createVerifier, generateKeyPair, signEvidence, verifyEvidence } from "@parapet/attestation";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const about = (letter: string) => ({ digest: { sha256: letter.repeat(64) } });
 * const envelope = await signEvidence({ schema: "urn:example:v1" }, [about("a")], [signer]);
 * const wanted = { predicateType: "urn:example:v1", subject: about("b") };
 * const refusal = await verifyEvidence(envelope, [await createVerifier(publicKey)], wanted).catch((error) => error);
 * console.log(refusal.code); // => attestation/statement
 * ```
 */
export async function verifyEvidence(
  envelope: Envelope,
  verifiers: readonly Verifier[],
  wanted: { readonly predicateType: string; readonly subject: Subject; readonly threshold?: number },
): Promise<ProvenEvidence> {
  const { predicateType, subject, threshold = 1 } = wanted;
  const { payload, payloadType, by } = await verifyEnvelope(envelope, verifiers, { threshold });
  const other = (message: string) => new AttestationError("attestation/statement", message);
  if (payloadType !== statementMediaType) throw other(`evidence expected an in-toto statement, got ${payloadType}`);
  const statement = parseStatement(payload);
  if (statement.predicateType !== predicateType) {
    throw other(`evidence expected ${predicateType}, got ${statement.predicateType}`);
  }
  const isMeant = ({ digest }: Subject) => {
    const common = Object.keys(digest).filter((algorithm) => Object.hasOwn(subject.digest, algorithm));
    return common.length > 0 && common.every((algorithm) => digest[algorithm] === subject.digest[algorithm]);
  };
  if (!statement.subject.some(isMeant)) throw other("evidence expected to be about this model, got one about another");
  return { statement, evidence: statement.predicate, by };
}
