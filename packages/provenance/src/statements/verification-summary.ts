import { createStatement, type Json, type Statement, toHex, toUtf8 } from "@parapet/attestation";
import { expected } from "@parapet/core";
import { portableHash } from "../merkle/tree.ts";
import type { ProvenancePolicy, ProvenLineage } from "../questions/verify.ts";

/** What a verification summary has to be told. */
export interface SummaryOptions {
  /** Who verified: a URI. */
  readonly verifier: string;
  /** By which policy; its digest stands in the summary, with the address where it can be read. */
  readonly policy: ProvenancePolicy;
  readonly policyUri: string;
  /** The text of the claims that were verified; its digest stands in the summary. */
  readonly claims: string;
  /** Where the model lies; default: its name. */
  readonly resourceUri?: string;
  /** When; default now. */
  readonly now?: Date;
}

/**
 * Says that a model was verified, for those who trust the verifier and do not want to do it again: SLSA's verification summary.
 * It exists for what passed only; what was refused has no summary that somebody could misread.
 *
 * @param proven - from `verify`
 * @param options - who verified, by which policy, which claims
 * @returns a statement, to be signed with `signEnvelope`; it claims no SLSA level, as this package does not judge them
 * @throws TypeError for a verifier or an address that is no URI
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { createRecorder, memoryJournal, signRun, verificationSummary, verify, writeClaims } from "@parapet/provenance";
 * const { signer, publicKey } = await generateKeyPair("ecdsa-p256-sha256");
 * const recorder = await createRecorder(memoryJournal(), { name: "digits" });
 * const model = await recorder.step({ kind: "train", name: "Train" }, (step) =>
 *   step.make({ kind: "model", name: "digits", content: "weights" }, "weights"),
 * );
 * const claims = writeClaims([await signRun(await recorder.finish(), [signer])]);
 * const policy = { version: 1, lineage: { keys: [publicKey.pem] } } as const;
 * const proven = await verify(model.id, policy, claims);
 * const options = { verifier: "https://example.com/gate", policy, policyUri: "https://example.com/policy.json", claims };
 * const { predicate } = verificationSummary(proven, options);
 * console.log((predicate as { verificationResult: string }).verificationResult); // => PASSED
 * ```
 *
 * Source: https://slsa.dev/spec/v1.0/verification_summary.
 */
export function verificationSummary(proven: ProvenLineage, options: SummaryOptions): Statement {
  const { verifier, policy, policyUri, claims, now = new Date() } = options;
  for (const [name, uri] of Object.entries({ verifier, policyUri })) {
    if (typeof uri !== "string" || !/^[a-z][a-z0-9+.-]*:\S+$/i.test(uri))
      throw new TypeError(expected(name, "a URI", uri));
  }
  const { artefact } = proven;
  const predicate: Json = {
    verifier: { id: verifier },
    timeVerified: now.toISOString(),
    resourceUri: options.resourceUri ?? artefact.name,
    policy: { uri: policyUri, digest: { sha256: sha256Hex(JSON.stringify(policy)) } },
    inputAttestations: [{ uri: "claims.jsonl", digest: { sha256: sha256Hex(claims) } }],
    verificationResult: "PASSED",
    verifiedLevels: [],
  };
  const subject = { name: artefact.name, digest: { sha256: artefact.id.slice("sha256:".length) } };
  return createStatement([subject], "https://slsa.dev/verification_summary/v1", predicate);
}

const sha256Hex = (text: string): string => toHex(portableHash(toUtf8(text)));
