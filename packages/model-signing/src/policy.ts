import {
  type EvidenceDemand,
  type Json,
  meetDemands,
  type ProvenEvidence,
  parseJson,
  parsePem,
  readDemands,
} from "@parapet/attestation";
import { type ExtensionName, type Extensions, extensionNames } from "./extensions.ts";
import type { FileSource } from "./file-source.ts";
import { checkIdentity, type KeylessIdentity, type KeylessVerifier } from "./keyless.ts";
import { closed } from "./manifest.ts";
import { problem } from "./problem.ts";
import {
  methodOf,
  type ProvenManifest,
  type ProvenModel,
  type Trust,
  type VerifyOptions,
  verifyBundle,
  verifyManifest,
} from "./verify.ts";

/**
 * Who may sign: the holder of a key, whoever has a certificate that leads to one of these roots, or an identity of Sigstore. An
 * algorithm beside ECDSA is allowed by its name, for this key alone.
 */
export type TrustedSigner =
  | { readonly key: string; readonly extension?: ExtensionName }
  | { readonly roots: string; readonly commonName?: string }
  | KeylessIdentity;

/** Whom to trust with which models, and what else must be proven: plain data, to be kept as JSON. */
export interface TrustPolicy {
  readonly version: 1;
  /** A model is trusted when one of these is met. */
  readonly rules: readonly {
    /** Names of models, as signatures call them; `*` at the end stands for any rest. Default: all. */
    readonly models?: readonly string[];
    readonly signers: readonly TrustedSigner[];
    /**
     * How many must have signed, each in a bundle of its own; default 1. Whoever has the same key or the same common name
     * counts once, so a second certificate is no second signer.
     */
    readonly threshold?: number;
  }[];
  /** Fingerprints of keys and certificates whose signatures no longer count. */
  readonly revoked?: readonly string[];
  /** Evidence about the model that must lie beside it. */
  readonly evidence?: readonly EvidenceDemand[];
}

/** What a policy let pass. */
export interface TrustedModel extends ProvenModel {
  /** Fingerprints of all keys that signed and counted. */
  readonly signers: readonly string[];
  /** For each demand, in their order. */
  readonly evidence: readonly ProvenEvidence[];
}

/** Options of `verifyByPolicy`. */
export interface PolicyOptions extends VerifyOptions {
  /** The lines of the file of claims beside the model: envelopes with evidence. */
  readonly claims?: string;
  /** When certificates and times are judged; default: now. */
  readonly now?: Date;
  /** What proves signatures of identities; from `keylessVerifier` of `./node/keyless`. */
  readonly keyless?: KeylessVerifier;
  /** What proves the extensions that the policy allows; one that it does not allow does not count. */
  readonly extensions?: Extensions;
}

const malformed = (message: string) => problem("model-signing/malformed", `policy ${message}`);
/** More than this is not tried. */
const MOST = 64;

/**
 * Reads a trust policy: closed, so that a misspelt field is an error and not a hole.
 *
 * @param text - JSON
 * @returns the policy
 * @throws ParapetError `model-signing/malformed` with the field; AttestationError when it is no JSON
 *
 * @example
 * ```ts
 * import { readPolicy } from "@parapet/model-signing";
 * try {
 *   readPolicy('{"version": 1, "rules": [], "revokd": []}');
 * } catch (error) {
 *   console.log((error as Error).message); // => policy expected no field "revokd"
 * }
 * ```
 */
export function readPolicy(text: string | Uint8Array): TrustPolicy {
  const json = parseJson(text, { maxBytes: 1 << 20, maxDepth: 16 });
  const {
    version,
    rules,
    revoked = [],
    evidence = [],
  } = closed(json, "policy", ["version", "rules", "revoked", "evidence"]);
  if (version !== 1) throw malformed('expected "version" 1');
  const list = (value: Json | undefined, name: string, least: number): readonly Json[] => {
    if (!Array.isArray(value) || value.length < least || value.length > MOST) {
      throw malformed(`expected "${name}" to be a list of ${least} to ${MOST}`);
    }
    return value;
  };
  const texts = (value: Json | undefined, name: string, least: number) => {
    const all = list(value, name, least);
    if (!all.every((one) => typeof one === "string" && one !== "")) throw malformed(`expected "${name}" to be texts`);
    return all as readonly string[];
  };
  for (const rule of list(rules, "rules", 1)) {
    const { models, signers, threshold = 1 } = closed(rule, "policy rule", ["models", "signers", "threshold"]);
    if (models !== undefined) texts(models, "models", 1);
    const all = list(signers, "signers", 1).map((signer) => {
      const { key, extension, roots, commonName, identity, identityPattern, issuer } = closed(signer, "policy signer", [
        "key",
        "extension",
        "roots",
        "commonName",
        "identity",
        "identityPattern",
        "issuer",
      ]);
      const given = (...all: (Json | undefined)[]) => all.some((one) => one !== undefined);
      if (given(identity, identityPattern, issuer)) {
        const wrong = given(key, extension, roots, commonName)
          ? 'expected an identity to have no "key" and no "roots"'
          : checkIdentity(signer as unknown as KeylessIdentity);
        if (wrong !== undefined) throw malformed(wrong);
        return 1;
      }
      const one = key === undefined ? roots : key;
      if (typeof one !== "string" || (key === undefined ? given(extension) : given(roots, commonName))) {
        throw malformed('expected a signer to have a "key", "roots" and perhaps a "commonName", or an "identity"');
      }
      if (commonName !== undefined && typeof commonName !== "string")
        throw malformed('expected "commonName" to be a text');
      if (extension !== undefined && !extensionNames.includes(extension as ExtensionName))
        throw malformed(`expected "extension" to be one of ${extensionNames.join(", ")}`);
      return parsePem(one).length;
    });
    if (!(Number.isSafeInteger(threshold) && (threshold as number) >= 1))
      throw malformed('expected "threshold" to be a whole number >= 1');
    // Only roots without a name, and beginnings of names, stand for more than one signer.
    const certain = (signers as readonly Json[]).every((signer) =>
      ["key", "commonName", "identity"].some((name) => Object.hasOwn(signer as object, name)),
    );
    if (certain && (threshold as number) > all.length)
      throw malformed(`expected "threshold" of at most ${all.length}, the number of signers`);
  }
  for (const fingerprint of texts(revoked, "revoked", 0)) {
    if (!/^[0-9a-f]{64}$/.test(fingerprint))
      throw malformed('expected "revoked" to be fingerprints of 64 hexadecimal digits');
  }
  try {
    readDemands(evidence);
  } catch (cause) {
    throw malformed(`evidence: ${(cause as Error).message}`);
  }
  return json as unknown as TrustPolicy;
}

/**
 * Proves a model by a policy: enough of the signers that may sign a model of this name have signed the same files, none of
 * them is revoked, and the evidence that is demanded lies beside it, signed and good enough. What a policy does not allow is
 * refused.
 *
 * @param source - the model's files
 * @param bundles - its signatures, one or more; those of other signers are passed over
 * @param policy - from `readPolicy`
 * @param options - claims, time, and as `verifyModel`
 * @returns what was proven
 * @throws ParapetError `model-signing/policy` with what is missing, and as `verifyModel`
 *
 * @example
 * ```ts
 * import { generateKeyPair } from "@parapet/attestation";
 * import { memorySource, signModel, verifyByPolicy } from "@parapet/model-signing";
 * const [alice, bob] = [await generateKeyPair("ecdsa-p256-sha256"), await generateKeyPair("ecdsa-p256-sha256")];
 * const model = memorySource("digits", { "model.onnx": new Uint8Array(100) });
 * const signers = [{ key: alice.publicKey.pem }, { key: bob.publicKey.pem }];
 * const policy = { version: 1, rules: [{ models: ["digits"], signers, threshold: 2 }] } as const;
 * const one = await signModel(model, alice.signer);
 * const refusal = await verifyByPolicy(model, [one], policy).catch((error) => error);
 * console.log(refusal.code); // => model-signing/policy
 * const two = await signModel(model, bob.signer);
 * console.log((await verifyByPolicy(model, [one, two], policy)).signers.length); // => 2
 * ```
 */
export async function verifyByPolicy(
  source: FileSource,
  bundles: readonly (Uint8Array | string)[],
  policy: TrustPolicy,
  options: PolicyOptions = {},
): Promise<TrustedModel> {
  const checked = readPolicy(JSON.stringify(policy));
  if (bundles.length === 0 || bundles.length > MOST)
    throw new RangeError(`"bundles" expected 1 to ${MOST}, got ${bundles.length}`);
  const { now = new Date() } = options;
  const { manifest, signers } = await meetRule(bundles, checked, { ...options, now });
  const { revoked = [], evidence: demands = [] } = checked;
  const subject = { digest: { sha256: manifest.rootDigest } };
  const evidence = await meetDemands(subject, demands, options.claims ?? "", { revoked, now }).catch((cause: Error) => {
    if ((cause as { code?: string }).code !== "attestation/evidence") throw cause;
    throw problem("model-signing/policy", `the policy is not met: ${cause.message}`, { cause });
  });
  return { ...(await verifyManifest(source, manifest, options)), signers, evidence };
}

const refused = (message: string) => problem("model-signing/policy", message);

/** The manifest on which enough signers of one rule agree. */
async function meetRule(
  bundles: readonly (Uint8Array | string)[],
  { rules, revoked = [] }: TrustPolicy,
  options: PolicyOptions,
) {
  let most = "no rule is about a model of this name, or nobody whom it names has signed";
  for (const { models, signers, threshold = 1 } of rules) {
    /** By what was signed: who did. */
    const agreed = new Map<string, ProvenManifest[]>();
    for (const bundle of bundles) {
      for (const signer of signers) {
        const manifest = await provenBy(bundle, signer, options);
        if (manifest === undefined || !(models ?? ["*"]).some((pattern) => matches(pattern, manifest.name))) continue;
        const { key, certificate, identity } = manifest.signedBy;
        const by = certificate ?? identity;
        const all = [key.fingerprint, ...(by ? [by.fingerprint, ...by.authorities] : [])];
        if (all.some((fingerprint) => revoked.includes(fingerprint))) {
          most = `the signer ${key.fingerprint.slice(0, 16)}... is revoked, or an authority of its certificate is`;
          continue;
        }
        // The root digest says nothing about names: the whole list must be the same.
        const what = JSON.stringify([
          manifest.name,
          manifest.rootDigest,
          manifest.method,
          manifest.hash,
          manifest.resources.map(({ name }) => name),
        ]);
        const together = [...(agreed.get(what) ?? []), manifest];
        agreed.set(what, together);
        const people = signersOf(together);
        if (people >= threshold) {
          return {
            manifest: leastOf(together),
            signers: [...new Set(together.map(({ signedBy }) => signedBy.key.fingerprint))],
          };
        }
        most = `${threshold} signers are needed, ${people} signed`;
      }
    }
  }
  throw refused(`the policy expected a signature that it trusts: ${most}`);
}

/** How many signers these are: those that share a key, the name in a certificate, or an identity, are one. */
function signersOf(manifests: readonly ProvenManifest[]): number {
  let people: Set<string>[] = [];
  for (const { signedBy } of manifests) {
    const marks = [`key ${signedBy.key.fingerprint}`];
    if (signedBy.certificate !== undefined) marks.push(`name ${signedBy.certificate.commonName}`);
    const { identity } = signedBy;
    if (identity !== undefined) marks.push(`identity ${JSON.stringify([identity.issuer, identity.identity])}`);
    const same = people.filter((one) => marks.some((mark) => one.has(mark)));
    people = [...people.filter((one) => !same.includes(one)), new Set([...marks, ...same.flatMap((one) => [...one])])];
  }
  return people.length;
}

/** What all of them allow: a path is passed over, and links are followed, only where each signer said so. */
function leastOf(manifests: readonly ProvenManifest[]): ProvenManifest {
  const [first, ...others] = manifests as readonly [ProvenManifest, ...ProvenManifest[]];
  return {
    ...first,
    allowSymlinks: manifests.every(({ allowSymlinks }) => allowSymlinks),
    ignorePaths: first.ignorePaths.filter((path) => others.every(({ ignorePaths }) => ignorePaths.includes(path))),
  };
}

const matches = (pattern: string, name: string): boolean =>
  pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;

/** What a signer says in a bundle; undefined where it is not by this signer. */
async function provenBy(
  bundle: Uint8Array | string,
  signer: TrustedSigner,
  options: PolicyOptions,
): Promise<ProvenManifest | undefined> {
  const method = "key" in signer ? "key" : "roots" in signer ? "certificate" : "sigstore";
  if ((await methodOf(bundle)) !== method) return undefined;
  try {
    const manifest = await verifyBundle(bundle, trustOf(signer, options));
    const wanted = "roots" in signer ? signer.commonName : undefined;
    return wanted === undefined || manifest.signedBy.certificate?.commonName === wanted ? manifest : undefined;
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === "model-signing/signature" || code === "model-signing/certificate" || code === "model-signing/log")
      return undefined;
    throw error;
  }
}

/** Trust in one signer of a policy, and in no more than it allows. */
function trustOf(signer: TrustedSigner, { now, keyless, extensions = {} }: PolicyOptions): Trust {
  if ("roots" in signer) return { roots: [signer.roots], now: now! };
  if ("key" in signer) {
    const { key, extension } = signer;
    if (extension === undefined) return { keys: [key] };
    const verifier = extensions[extension];
    if (verifier === undefined)
      throw new TypeError(`"extensions" expected what proves ${extension}, which the policy allows; got nothing`);
    return { keys: [key], extensions: { [extension]: verifier } };
  }
  if (keyless === undefined)
    throw new TypeError('"keyless" expected a verifier, as the policy trusts identities; got nothing');
  return { keyless: { identities: [signer], verifier: keyless } };
}
