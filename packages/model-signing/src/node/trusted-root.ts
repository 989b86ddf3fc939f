import { fromBase64, type Json, parseJson } from "@parapet/attestation";
import type { toTrustMaterial } from "@sigstore/verify";
import { closed, object } from "../manifest.ts";
import { problem } from "../problem.ts";

/** Who is trusted in Sigstore, as `@sigstore/verify` takes it. */
type TrustedRoot = Parameters<typeof toTrustMaterial>[0];
type Log = TrustedRoot["tlogs"][number];
type Authority = TrustedRoot["certificateAuthorities"][number];

const malformed = (message: string) => problem("model-signing/malformed", `trusted root ${message}`);
const MEDIA_TYPE = /^application\/vnd\.dev\.sigstore\.trustedroot(\+json;version=0\.1|\.v0\.[12]\+json)$/;
/** Keys of logs that Node proves without being told a hash: those of others would never be good. */
const KEYS = ["PKIX_ECDSA_P256_SHA_256", "PKIX_ED25519"];
const MOST = 64;

/**
 * Reads a trusted root of Sigstore. Logs with keys of other kinds are left out: what they alone have seen is refused.
 *
 * @param source - the file `trusted_root.json`
 * @returns the root, and the certificates of its authorities, each chain from the signing one up
 *
 * Source: https://github.com/sigstore/protobuf-specs, sigstore_trustroot.proto.
 */
export function readTrustedRoot(source: Uint8Array | string): {
  readonly root: TrustedRoot;
  readonly chains: readonly (readonly Uint8Array[])[];
} {
  const json = object(parseJson(source, { maxBytes: 4 << 20, maxDepth: 16 }), "trusted root");
  if (typeof json.mediaType !== "string" || !MEDIA_TYPE.test(json.mediaType))
    throw malformed("expected the media type application/vnd.dev.sigstore.trustedroot");
  const root: TrustedRoot = {
    mediaType: json.mediaType,
    tlogs: list(json.tlogs, "tlogs").flatMap(readLog),
    ctlogs: list(json.ctlogs, "ctlogs").flatMap(readLog),
    certificateAuthorities: list(json.certificateAuthorities, "certificateAuthorities").map(readAuthority),
    timestampAuthorities: list(json.timestampAuthorities, "timestampAuthorities").map(readAuthority),
  };
  for (const name of ["tlogs", "ctlogs", "certificateAuthorities"] as const)
    if (root[name].length === 0) throw malformed(`expected "${name}", got none that can be used`);
  const chains = root.certificateAuthorities.map(({ certChain }) =>
    certChain!.certificates.map(({ rawBytes }) => Uint8Array.from(rawBytes)),
  );
  return { root, chains };
}

function list(json: Json | undefined, name: string): readonly Json[] {
  if (json === undefined) return [];
  if (!Array.isArray(json) || json.length > MOST) throw malformed(`expected "${name}" to be a list of at most ${MOST}`);
  return json;
}

function bytes(json: Json | undefined, name: string): Buffer {
  if (typeof json !== "string" || json === "") throw malformed(`expected "${name}" to be base64`);
  return Buffer.from(fromBase64(json));
}

function readLog(json: Json): Log[] {
  const { baseUrl, publicKey, logId, checkpointKeyId } = object(json, "trusted root log");
  if (typeof baseUrl !== "string") throw malformed('expected a log to have a "baseUrl"');
  const { rawBytes, keyDetails, validFor } = object(publicKey ?? null, "trusted root key");
  if (typeof keyDetails !== "string") throw malformed('expected a key to have "keyDetails"');
  if (!KEYS.includes(keyDetails)) return [];
  const identifier = (one: Json) => ({ keyId: bytes(object(one, "trusted root log").keyId, "keyId") });
  return [
    {
      baseUrl,
      hashAlgorithm: 0,
      publicKey: { rawBytes: bytes(rawBytes, "rawBytes"), keyDetails: 0, validFor: readPeriod(validFor) },
      logId: identifier(logId ?? null),
      checkpointKeyId: checkpointKeyId === undefined ? undefined : identifier(checkpointKeyId),
      operator: "",
    },
  ];
}

function readAuthority(json: Json): Authority {
  const { uri = "", certChain, validFor } = object(json, "trusted root authority");
  const { certificates } = object(certChain ?? null, "trusted root chain");
  const chain = list(certificates, "certificates").map((one) => {
    const { rawBytes } = closed(one, "trusted root certificate", ["rawBytes"]);
    return { rawBytes: bytes(rawBytes, "rawBytes") };
  });
  if (chain.length === 0) throw malformed("expected an authority to have certificates");
  return {
    subject: undefined,
    uri: String(uri),
    certChain: { certificates: chain },
    validFor: readPeriod(validFor),
    operator: "",
  };
}

/** From when to when somebody is trusted; without an end, until further notice. */
function readPeriod(json: Json | undefined): { start: Date | undefined; end: Date | undefined } {
  const { start, end } = closed(json ?? null, "trusted root period", ["start", "end"]);
  const time = (text: Json | undefined, name: string) => {
    if (text === undefined) return undefined;
    const date = typeof text === "string" && /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) ? new Date(text) : undefined;
    if (date === undefined || Number.isNaN(date.getTime())) throw malformed(`expected "${name}" to be a time in UTC`);
    return date;
  };
  return { start: time(start, "start"), end: time(end, "end") };
}
