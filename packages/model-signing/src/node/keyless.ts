import { fromBase64, type Json } from "@parapet/attestation";
import { bundleFromJSON } from "@sigstore/bundle";
import { toSignedEntity, toTrustMaterial, Verifier } from "@sigstore/verify";
import { verifyChain } from "../certificate.ts";
import { checkIdentity, type KeylessIdentity, type KeylessProof, type KeylessVerifier } from "../keyless.ts";
import { closed, object } from "../manifest.ts";
import { problem } from "../problem.ts";
import type { Trust } from "../trust.ts";
import { checkLogEntries } from "./log-entries.ts";
import { readTrustedRoot } from "./trusted-root.ts";

export type { KeylessIdentity, KeylessProof, KeylessVerifier } from "../keyless.ts";

/** Options of `keylessVerifier`. */
export interface KeylessOptions {
  /** The text or bytes of `trusted_root.json` of a Sigstore: the public one's comes from its TUF repository. */
  readonly trustedRoot: Uint8Array | string;
  /** How many have to have seen a signature; 1 of each by default, and never less. */
  readonly thresholds?: {
    /** Transparency logs, each counted once. */
    readonly logs?: number;
    /** Signed times, by logs or timestamp authorities. */
    readonly timestamps?: number;
    /** Logs of certificates. */
    readonly certificateLogs?: number;
  };
}

/** Options of `keylessTrust`. */
export interface KeylessTrustOptions extends KeylessOptions {
  /** Whose signatures count: one or more. */
  readonly identities: readonly KeylessIdentity[];
}

/**
 * Trust in identities of Sigstore: nobody keeps a key. A signature counts when the certificate leads to the trusted root and
 * is in a log of certificates, a transparency log holds the signature, made while the certificate was valid, and identity and
 * issuer are those that are asked for, exactly. The certificates that a timestamp carries decide nothing: those of the trusted
 * root do. All of it offline; npm `@sigstore/verify` and `@sigstore/bundle` are needed.
 *
 * @param options - the trusted root, identities, and thresholds >= 1
 * @returns what `verifyBundle`, `verifyModel`, `verifyFolder` and `openVerified` take as trust; keys and roots may stand beside it
 * @throws TypeError or RangeError for identities or thresholds that are none; ParapetError `model-signing/malformed` for a
 *   trusted root that is none
 *
 * @example
 * ```ts
 * import { keylessTrust } from "@parapet/model-signing/node/keyless";
 * const identities = [{ identity: "release@example.com", issuer: "https://accounts.example.com" }];
 * try {
 *   keylessTrust({ trustedRoot: "{}", identities });
 * } catch (error) {
 *   console.log((error as { code: string }).code); // => model-signing/malformed
 * }
 * ```
 *
 * Source: OpenSSF Model Signing Specification 1.0, sections 4.1 and 8.2; https://github.com/sigstore/architecture-docs.
 */
export function keylessTrust({ identities, ...options }: KeylessTrustOptions): Required<Pick<Trust, "keyless">> {
  if (!Array.isArray(identities) || identities.length === 0)
    throw new TypeError('"identities" expected at least one, got none: whose signature is to be proven?');
  const wrong = identities.map(checkIdentity).find((why) => why !== undefined);
  if (wrong !== undefined) throw new TypeError(`"identities" ${wrong}`);
  return { keyless: { identities: [...identities], verifier: keylessVerifier(options) } };
}

/**
 * What proves Sigstore bundles for a policy, which itself says whose signatures count.
 *
 * @param options - the trusted root, and thresholds >= 1
 * @returns the verifier, for `verifyByPolicy`
 * @throws as `keylessTrust`
 *
 * @example
 * ```ts
 * import { keylessVerifier } from "@parapet/model-signing/node/keyless";
 * try {
 *   keylessVerifier({ trustedRoot: "{}", thresholds: { logs: 0 } });
 * } catch (error) {
 *   console.log((error as Error).message); // => "thresholds.logs" expected a whole number >= 1, got 0
 * }
 * ```
 *
 * Source: as `keylessTrust`.
 */
export function keylessVerifier({ trustedRoot, thresholds = {} }: KeylessOptions): KeylessVerifier {
  const { logs = 1, timestamps = 1, certificateLogs = 1 } = thresholds;
  for (const [name, value] of Object.entries({ logs, timestamps, certificateLogs })) {
    if (!(Number.isSafeInteger(value) && value >= 1))
      throw new RangeError(`"thresholds.${name}" expected a whole number >= 1, got ${value}`);
  }
  const { root, chains } = typed("trusted root", () => readTrustedRoot(trustedRoot));
  const material = typed("trusted root", () => toTrustMaterial(root));
  const verifier = new Verifier(material, {
    tlogThreshold: logs,
    timestampThreshold: timestamps,
    ctlogThreshold: certificateLogs,
  });
  const anchors = chains.map((chain) => chain.at(-1)!);
  const between = chains.flatMap((chain) => chain.slice(0, -1));

  return async (bundle: Json): Promise<KeylessProof> => {
    const { verificationMaterial } = object(bundle, "bundle");
    const seen = typed("bundle", () => checkLogEntries(verificationMaterial!));
    if (seen.size < logs) throw problem("model-signing/log", `bundle expected ${logs} logs, got ${seen.size}`);
    const entity = typed("bundle", () => {
      const signed = toSignedEntity(bundleFromJSON(bundle));
      verifier.verify(signed);
      return signed;
    });
    const times = entity.timestamps.flatMap((one) => {
      if (one.$case === "timestamp-authority") return [one.timestamp.signingTime];
      const { inclusionPromise, integratedTime } = one.tlogEntry;
      return inclusionPromise === undefined ? [] : [new Date(1000 * Number(integratedTime))];
    });
    if (times.length < timestamps)
      throw problem("model-signing/log", `bundle expected ${timestamps} signed times, got ${times.length}`);
    // The chain once more, by our reader: over the certificate as it stands in the bundle, and for signing code.
    const { certificate } = object(verificationMaterial!, "verificationMaterial");
    const { rawBytes } = closed(certificate!, "certificate", ["rawBytes"]);
    const chain = [fromBase64(rawBytes as string), ...between];
    const proven = await Promise.all(times.map((time) => verifyChain(chain, anchors, time)));
    return { times, authorities: proven[0]!.path.slice(1).map(({ fingerprint }) => fingerprint) };
  };
}

/** Errors of the readers of Sigstore, by names of this package. Whatever else they stumble over has no form. */
function typed<T>(what: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const { code, message } = cause as { readonly code?: unknown; readonly message?: unknown };
    if (String(code).startsWith("model-signing/")) throw cause;
    const text = `${what} is not proven: ${String(message).slice(0, 300)}`;
    if (code === "SIGNATURE_ERROR") throw problem("model-signing/signature", text, { cause });
    if (code === "CERTIFICATE_ERROR") throw problem("model-signing/certificate", text, { cause });
    if (typeof code === "string" && /^(TLOG|TIMESTAMP)_/.test(code))
      throw problem("model-signing/log", text, { cause });
    throw problem("model-signing/malformed", text, { cause });
  }
}
