import { createVerifier, type PublicKey, type Verifier } from "@parapet/attestation";
import type { Form } from "./manifest.ts";
import { problem } from "./problem.ts";

/**
 * Algorithms that are no part of OpenSSF model signatures 1.0: Ed25519 over the bytes, Ed25519 over their SHA-512 (what the
 * client in Go does with a key of Ed25519), and ML-DSA-65, which a quantum computer does not break.
 */
export type ExtensionName = "ed25519" | "ed25519ph" | "ml-dsa-65";

/**
 * Which of them may sign, each with what makes its verifier: `createVerifier` of `@parapet/attestation` for "ed25519",
 * `ed25519phVerifier` and `mlDsaVerifier` of `@parapet/attestation/extensions` for the others. One of the two Ed25519: the
 * key does not say which it is for.
 */
export type Extensions = { readonly [name in ExtensionName]?: (key: PublicKey) => Verifier | Promise<Verifier> };

/** The keys that they use. */
const keyOf = { ed25519: "ed25519", ed25519ph: "ed25519", "ml-dsa-65": "ml-dsa-65" } as const;
export const extensionNames = Object.keys(keyOf) as readonly ExtensionName[];

/** Refuses names that are not known, and both meanings of one key. */
export function checkExtensions(extensions: Extensions): void {
  const asked = Object.keys(extensions).filter((name) => extensions[name as ExtensionName] !== undefined);
  const unknown = asked.find((name) => !extensionNames.includes(name as ExtensionName));
  if (unknown !== undefined)
    throw new TypeError(`"extensions" expected ${extensionNames.join(", ")}, got ${JSON.stringify(unknown)}`);
  if (asked.includes("ed25519") && asked.includes("ed25519ph"))
    throw new TypeError('"extensions" expected "ed25519" or "ed25519ph", got both: which does a key of Ed25519 mean?');
}

/** What proves signatures of a key: ECDSA, or an extension that is allowed, and how the result calls it. */
export async function verifierOf(
  key: PublicKey,
  extensions: Extensions = {},
): Promise<{ readonly verifier: Verifier; readonly forms: readonly Form[] }> {
  if (key.algorithm.startsWith("ecdsa-")) return { verifier: await createVerifier(key), forms: [] };
  const name = extensionNames.find((one) => extensions[one] !== undefined && keyOf[one] === key.algorithm);
  if (name === undefined) {
    const known = extensionNames.filter((one) => keyOf[one] === key.algorithm).map((one) => `"${one}"`);
    throw problem(
      "model-signing/unsupported",
      `model signatures expected an ECDSA key, got ${key.algorithm}: ${known.length === 0 ? "this is not known here" : `allow it by the extension ${known.join(" or ")} of the trust or the policy`}`,
    );
  }
  const meant: PublicKey = { ...key, algorithm: name };
  const verifier = await extensions[name]!(meant);
  const { algorithm, fingerprint } = verifier.publicKey;
  if (algorithm !== name || fingerprint !== key.fingerprint)
    throw new TypeError(`"extensions" expected a verifier of ${name} for "${name}", got one of ${algorithm}`);
  return { verifier, forms: [`extension-${name}`] };
}
